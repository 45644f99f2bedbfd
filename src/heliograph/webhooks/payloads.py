"""Payloads of events: the documented keys, and the older names of the same values. Source: facts D4, D5, D6."""

from typing import Any

from heliograph.messaging import rows


def receipt(row: rows.Receipt) -> dict[str, Any]:
    """Payload of a receipt out of a receipt row."""
    return {
        "timestamp_send": row.timestamp_send,
        "timestamp": row.timestamp,
        "message_id": row.message_id,
        "messageid": row.message_id,
        "status": row.status,
        "status_code": row.status_code,
        "status_text": row.status_text,
        "error_code": row.error_code,
        "error_text": row.error_text,
        "custom_string": row.custom_string,
        "customstring": row.custom_string,
        "user_id": row.user_id,
        "subaccount_id": row.subaccount_id,
        "message_type": row.channel,
        **row.reported(),
    }


def inbound(row: rows.Inbound) -> dict[str, Any]:
    """Payload of an inbound message out of an inbound row; of an MMS also the links to its files (facts D11)."""
    media = row.media()
    links = {"_media_file_url": media[0], "_media_file_urls": media} if media else {}
    return {
        **links,
        "timestamp": row.timestamp,
        "from": row.sender,
        "sms": row.sender,
        "to": row.recipient,
        "originalsenderid": row.recipient,
        "body": row.body,
        "message": row.body,
        "original_body": row.original_body,
        "originalmessage": row.original_body,
        "original_message_id": row.original_message_id,
        "originalmessageid": row.original_message_id,
        "custom_string": row.custom_string,
        "customstring": row.custom_string,
        "user_id": row.user_id,
        "subaccount_id": row.subaccount_id,
        "message_id": row.message_id,
    }
