"""BlockBlobs: Get Blob, Put Blob and Delete Blob, sent through a pipeline that signs them.

The driver's generated code and its dozen of policies take three quarters of the processor time of
one of these requests, and a turn waits for little else. The driver still finds the account, signs
(shared keys, SAS, tokens) and sends. For that two attributes of its client are used that are not
public, ``_pipeline`` and ``_credential_policy``: they are alike from 12.7 to the newest, and the
tests run both.

Imported when a BlobStorage is made: it imports the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import HttpRequest

from ..backend import frozen_metadata
from ..base import StoredItem
from .errors import InvalidAnswer

_METADATA: Final = "x-ms-meta-"
_WHOLE: Final = {"x-ms-range": "bytes=0-"}
"""With a range, the answer tells the blob's size apart from the length of its own body, which a
proxy may have cut."""
_NO_SUCH_RANGE: Final = 416
_DONE: Final = {"GET": (200, 206), "PUT": (201,), "DELETE": (202,)}


class BlockBlobs:
    """Sends single requests about the blobs of a container.

    ``container``: the driver's client. ``is_ours``: False if the app made it. Then requests go
    through its own pipeline, with the retries, proxies, logging and policies that the app chose.

    ``condition``: headers like ``If-Match``. ``options``: ``retry_total`` and ``raw_response_hook``
    of the driver's methods. A status that says no is an HttpResponseError of ``azure.core``, with
    its ``error_code``.
    """

    def __init__(self, container: Any, *, is_ours: bool) -> None:
        self._address, _, query = container.url.partition("?")  # a SAS is in the query
        self._query = f"?{query}" if query else ""
        self._pipeline = container._pipeline
        if is_ours:
            policies = [_SentAt(), _RawResponseHook(), container._credential_policy]
            self._pipeline = AsyncPipeline(container._pipeline._transport, policies)
        self._version = {"x-ms-version": container.api_version}

    def url(self, key: str) -> str:
        """Return the address of a blob, as the driver's client of the blob has it."""
        return f"{self._address}/{quote(key, safe='~/')}{self._query}"

    async def get(self, key: str, options: Mapping[str, Any]) -> StoredItem:
        """Read a blob.

        :raises InvalidAnswer: the answer has no ETag, or not the whole body.
        """
        headers = {**self._version, **_WHOLE}
        try:
            answer = await self._send(HttpRequest("GET", self.url(key), headers=headers), options)
        except HttpResponseError as error:
            if error.status_code != _NO_SUCH_RANGE:  # the blob is empty
                raise
            headers = dict(self._version)
            answer = await self._send(HttpRequest("GET", self.url(key), headers=headers), options)
        data: bytes = answer.body()
        if len(data) != _blob_size(answer.headers):
            raise InvalidAnswer("a part of the body is missing")
        metadata = {
            name[len(_METADATA) :]: value
            for name, value in answer.headers.items()
            if name.lower().startswith(_METADATA)
        }
        return StoredItem(data, bare_etag(answer.headers.get("ETag")), frozen_metadata(metadata))

    async def put(
        self,
        key: str,
        data: bytes,
        metadata: Mapping[str, str],
        condition: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> str:
        """Write a blob with its metadata; return its ETag.

        :raises InvalidAnswer: the answer has no ETag.
        """
        headers = {
            **self._version,
            **condition,
            **{_METADATA + name: value for name, value in metadata.items()},
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": "application/octet-stream",
        }
        request = HttpRequest("PUT", self.url(key), headers=headers)
        request.set_bytes_body(bytes(data))
        return bare_etag((await self._send(request, options)).headers.get("ETag"))

    async def delete(
        self, key: str, condition: Mapping[str, str], options: Mapping[str, Any]
    ) -> None:
        """Delete a blob."""
        headers = {**self._version, **condition}
        await self._send(HttpRequest("DELETE", self.url(key), headers=headers), options)

    async def _send(self, request: Any, options: Mapping[str, Any]) -> Any:
        # As a stream: the driver would parse a body by its content type.
        answer = (await self._pipeline.run(request, stream=True, **options)).http_response
        await answer.load_body()
        if answer.status_code not in _DONE[request.method]:
            error: Any = HttpResponseError(response=answer)
            error.error_code = answer.headers.get("x-ms-error-code")
            raise error
        return answer


class _SentAt(SansIOHTTPPolicy[Any, Any]):
    """Dates a request, which is signed afterwards."""

    def on_request(self, request: Any) -> None:
        request.http_request.headers["x-ms-date"] = formatdate(usegmt=True)


class _RawResponseHook(SansIOHTTPPolicy[Any, Any]):
    """Takes the options of the driver's methods, as the driver's own policies do."""

    def on_request(self, request: Any) -> None:
        request.context.options.pop("retry_total", None)
        request.context["hook"] = request.context.options.pop("raw_response_hook", None)

    def on_response(self, request: Any, response: Any) -> None:
        if request.context["hook"] is not None:
            request.context["hook"](response)


def _blob_size(headers: Mapping[str, str]) -> int:
    size = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else -1


def bare_etag(text: Any) -> str:
    """Return an ETag without its quotes, which answers have and listings do not.

    :raises InvalidAnswer: there is none.
    """
    if not isinstance(text, str) or not text.strip('"'):
        raise InvalidAnswer("it has no ETag")
    return text.strip('"')
