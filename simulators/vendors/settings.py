"""What points a bot at the vendors here."""

from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.deepgram import DeepgramVendor
from simulators.vendors.openai import OpenAIVendor


def vendor_settings(
    deepgram: DeepgramVendor, openai: OpenAIVendor, cartesia: CartesiaVendor
) -> dict[str, str]:
    """The keys and the addresses of serving vendors, by their environment variables."""
    return {
        "DEEPGRAM_API_KEY": deepgram.key,
        "DEEPGRAM_BASE_URL": deepgram.url,
        "OPENAI_API_KEY": openai.key,
        "OPENAI_BASE_URL": openai.url,
        "CARTESIA_API_KEY": cartesia.key,
        "CARTESIA_BASE_URL": cartesia.url,
    }
