"""The transport cut: kombu's Redis channel, for which a message is a hint that may be lost, not a thing to keep."""

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import RedisError, ResponseError

from jobs import broker
from jobs.ledger import undecodable
from jobs.messages import dumps, loads

logger = logging.getLogger(__name__)


class NotAMessage(ValueError):
    """JSON, but not what kombu publishes."""

    def __init__(self) -> None:
        super().__init__("A message is a JSON object with body, headers and properties; these bytes are none.")


class LedgerChannel(stock.Channel):
    """Reads what can't be decoded without dying of it, needs no memory of Redis, and answers the canaries.

    With `ack_emulation` off (config/settings.py) no popped message is registered in Redis: what a dead worker had
    popped is rung again from the table, sooner than any visibility timeout would bring it back.
    """

    def _brpop_read(self, **options: Any) -> bool:
        """As kombu's, but for a look at the bytes before they are parsed."""
        try:
            try:
                popped = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not popped:
                raise Empty
            key, raw = popped
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            if not self._is_canary(raw) and (message := self._parsed(raw, queue)) is not None:
                self.connection._deliver(message, queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _parsed(self, raw: bytes, queue: str) -> dict[str, Any] | None:
        """The message; None for bytes that are none, which are kept as a dead letter."""
        try:
            message = loads(bytes_to_str(raw))
            if not _has_its_parts(message):
                raise NotAMessage
            self.Message(message, channel=self)
        except Exception as error:  # noqa: BLE001  (whatever bytes make a parser say)
            undecodable.keep(raw, queue, error)
            return None
        return dict(message)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        """Remote control comes this way. What somebody published there that is no message ends no worker."""
        try:
            if not _has_its_parts(message):
                raise NotAMessage
            self.Message(message, channel=self)
        except Exception as error:  # noqa: BLE001  (whatever bytes make a parser say)
            logger.warning("What was published to %s can't be read: %s", exchange, error)
            return True
        return bool(super()._deliver_fanout_message(message, exchange))

    def _is_canary(self, raw: bytes) -> bool:
        """Whether it was one; the reconciler is told how far this line has been read."""
        told = broker.canary_stamp(raw)
        if told is None:
            return False
        try:
            with self.conn_or_acquire() as client:
                client.set(*told)
        except (RedisError, OSError) as error:
            logger.warning("A canary can't be answered (%s); the reconciler sends the next one", error)
        return True

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Give a hint back (`Reject(requeue=True)`, or unread at a shutdown); one that is lost here is rung again."""
        payload = message.serializable()
        payload["headers"]["redelivered"] = True
        payload["properties"].setdefault("delivery_info", {})["redelivered"] = True
        key = self._q_for_pri(
            payload["properties"]["delivery_info"]["routing_key"], self._get_message_priority(payload, reverse=False)
        )
        try:
            with self.conn_or_acquire() as client:
                (client.lpush if leftmost else client.rpush)(key, dumps(payload))
        except (RedisError, OSError) as error:
            logger.warning("A hint can't be given back (%s); its job is rung again from the table", error)

    def _queue_bind(self, exchange: Any, routing_key: Any, pattern: Any, queue: Any) -> None:
        """A full Redis takes no bindings. Queues are pushed to by name, so only replies to remote control miss them."""
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except ResponseError as error:
            logger.warning("Redis refuses a binding of %s (%s); the worker goes on without it", queue, error)

    def _put(self, queue: Any, message: Any, **kwargs: Any) -> Any:
        """What goes through kombu are replies to remote control (hints have their own way, `jobs.broker`)."""
        try:
            return super()._put(queue, message, **kwargs)
        except ResponseError as error:
            logger.warning("Redis refuses a message to %s: %s", queue, error)


class LedgerTransport(stock.Transport):
    """kombu's, with our channel."""

    Channel = LedgerChannel


def _has_its_parts(message: Any) -> bool:
    """What kombu takes for granted, and would take for a broken connection."""
    if not isinstance(message, dict) or not isinstance(message.get("properties"), dict):
        return False
    properties = message["properties"]
    return (
        isinstance(message.get("headers"), dict)
        and isinstance(message.get("body"), str)
        and isinstance(properties.get("delivery_tag"), str)
        and isinstance(properties.get("delivery_info"), dict)
    )
