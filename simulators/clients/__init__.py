"""Clients that talk to a running bot as a page would."""
