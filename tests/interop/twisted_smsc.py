"""An SMSC made of smpp.twisted3, whose authors know nothing of us: a program of its own, led by lines of JSON.

On standard output it tells what happens; on standard input it takes orders:

    {"do": "answer", "status": "ESME_RTHROTTLED", "times": 3}   refuse the next submits
    {"do": "deliver", "number": 1, ...}                         send a deliver_sm; the other keys are its parameters
    {"do": "unbind"}                                            say goodbye to every ESME

Texts of the orders are hexadecimal octets. Every submit gets an id; receipts are sent on order only.
"""

import json
import sys
from typing import Any

from smpp.pdu.gsm_encoding import UserDataHeaderEncoder
from smpp.pdu.gsm_types import IEConcatenatedSM, InformationElement, InformationElementIdentifier
from smpp.pdu.operations import DeliverSM
from smpp.pdu.pdu_types import (
    AddrNpi,
    AddrTon,
    CommandStatus,
    DataCoding,
    DataCodingDefault,
    EsmClass,
    EsmClassGsmFeatures,
    EsmClassMode,
    EsmClassType,
    MessageState,
)
from smpp.pdu.sm_encoding import SMStringEncoder
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import IAuthenticatedSMPP, SMPPServerFactory
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import reactor

CREDENTIALS = ("heliograph", "secret")
OUTPUT, sys.stdout = sys.stdout, sys.stderr
"""The libraries print to standard output as well."""


def tell(event: str, **what: Any) -> None:
    print(json.dumps({"event": event, **what}), file=OUTPUT, flush=True)


class Smsc(SMPPServerFactory):
    """Tells of binds and submits; `refusals` are the statuses of the submits to come."""

    def __init__(self) -> None:
        config = SMPPServerConfig(
            msgHandler=self.submitted, systems={CREDENTIALS[0]: {"max_bindings": 3}}, enquireLinkTimerSecs=1
        )
        super().__init__(config, None)
        self.refusals: list[CommandStatus] = []
        self.count = 0

    def login(self, system_id: str, password: str, client_ip_address: str) -> tuple[Any, str, Any]:
        tell("bind", system_id=system_id, password=password)
        if (system_id, password) != CREDENTIALS:
            raise UnauthorizedLogin
        return IAuthenticatedSMPP, system_id, lambda: None

    def submitted(self, system_id: str, session: Any, pdu: Any) -> Any:
        if self.refusals:
            return self.refusals.pop(0)
        self.count += 1
        tell("submit", id=f"{self.count:04X}", **_read(pdu))
        return DataHandlerResponse(CommandStatus.ESME_ROK, message_id=f"{self.count:04X}")

    def deliver(self, number: int, **what: Any) -> None:
        session = self.bound_connections[CREDENTIALS[0]].getNextBindingForDelivery()
        sent = session.sendDataRequest(DeliverSM(**_parameters(**what)))
        sent.addCallback(lambda result: tell("acknowledged", number=number, status=result.response.status.name))
        sent.addErrback(lambda failure: tell("refused", number=number, why=str(failure.value)))


def _read(pdu: Any) -> dict[str, Any]:
    """A submit_sm as this library understands it."""
    read = pdu.params
    payload = read.get("message_payload")
    whole = SMStringEncoder().decodeSM(pdu)
    part = SMStringEncoder().getConcatenatedSMInfoElement(pdu)
    return {
        "source": read["source_addr"].decode(),
        "source_ton": read["source_addr_ton"].name,
        "dest": read["destination_addr"].decode(),
        "dest_ton": read["dest_addr_ton"].name,
        "coding": read["data_coding"].schemeData.name,
        "receipt": read["registered_delivery"].receipt.name,
        "validity": str(read["validity_period"]),
        "text": whole.unicode,
        "payload": payload.hex() if payload else None,
        "part": list(part.data) if part else None,
    }


def _parameters(
    text: str,
    source: str = "61491570156",
    dest: str = "61481074190",
    receipt: bool = False,
    coding: str = "SMSC_DEFAULT_ALPHABET",
    part: list[int] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Parameters of a DeliverSM; `part` is reference, number of parts, number of this one, in a header."""
    octets = bytes.fromhex(text)
    features = []
    if part:
        kind = InformationElementIdentifier.CONCATENATED_SM_16BIT_REF_NUM
        octets = UserDataHeaderEncoder().encode([InformationElement(kind, IEConcatenatedSM(*part))]) + octets
        features = [EsmClassGsmFeatures.UDHI_INDICATOR_SET]
    if "message_state" in more:
        more["message_state"] = MessageState[more["message_state"]]
    kind = EsmClassType.SMSC_DELIVERY_RECEIPT if receipt else EsmClassType.DEFAULT
    return {
        "source_addr_ton": AddrTon.INTERNATIONAL,
        "source_addr_npi": AddrNpi.ISDN,
        "source_addr": source,
        "dest_addr_ton": AddrTon.INTERNATIONAL,
        "dest_addr_npi": AddrNpi.ISDN,
        "destination_addr": dest,
        "esm_class": EsmClass(EsmClassMode.DEFAULT, kind, features),
        "data_coding": DataCoding(schemeData=DataCodingDefault[coding]),
        "short_message": octets,
        **more,
    }


def follow(smsc: Smsc) -> None:
    """Do what standard input says, and end with it."""
    for line in sys.stdin:
        reactor.callFromThread(_do, smsc, json.loads(line))
    reactor.callFromThread(reactor.stop)


def _do(smsc: Smsc, order: dict[str, Any]) -> None:
    what = order.pop("do")
    if what == "answer":
        smsc.refusals += [CommandStatus[order["status"]]] * order["times"]
    elif what == "deliver":
        smsc.deliver(**order)
    else:
        smsc.unbindGateway(CREDENTIALS[0])
    tell("done")


if __name__ == "__main__":
    smsc = Smsc()
    listening = reactor.listenTCP(0, smsc, interface="127.0.0.1")
    tell("listening", port=listening.getHost().port)
    reactor.callInThread(follow, smsc)
    reactor.run()
