"""The client's side of TLS: whom to trust. The same for every transport."""

import asyncio
import ssl


async def client_context(ca: str) -> ssl.SSLContext:
    """What proves a peer by its certificate and its name: `ca` is a PEM file, or empty for the system's authorities.

    The file is read at every call, so that a renewed one counts without a restart. Raises OSError with the file's name.
    """
    try:
        return await asyncio.to_thread(ssl.create_default_context, cafile=ca or None)
    except OSError as problem:  # ssl.SSLError, for what is no certificate, is one as well
        raise OSError(f"tls_ca {ca}: {problem.strerror or problem}") from problem
