"""Parts of a call that run on this machine: their models, and the services that use them."""
