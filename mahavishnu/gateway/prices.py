"""What an answer costs at its provider's list price, by the table that comes with genai-prices; nobody is asked."""

from mahavishnu.gateway.records import UseRecord


def price_of(record: UseRecord, url: str) -> float | None:
    """Return US dollars for what an address counted; None where the table has no such model there."""
    # 0.3 s, in the thread that writes records.
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - slow, and only a gateway needs it

    if record.input is None and record.output is None:
        return None
    usage = Usage(
        input_tokens=record.input or 0,
        cache_read_tokens=record.cached or 0,
        output_tokens=record.output or 0,
    )
    try:
        found = calc_price(
            usage,
            record.sent_model,
            provider_api_url=url,
            genai_request_timestamp=record.at,
        )
    except (LookupError, ValueError, ArithmeticError):
        return None
    return float(found.total_price)
