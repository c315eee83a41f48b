# SPDX-License-Identifier: GPL-3.0-or-later
"""What IM-1 is in words: the parts of the specification that no schema can hold, as (heading, Markdown)."""

from __future__ import annotations

from wire.batch import MAX_EVENTS, MAX_EXPLAINED, MAX_PAYLOAD, MAX_RAW
from wire.codec import MAX_BODY, MAX_FIELDS, MAX_NAME
from wire.topics import PRESENCE_WILL_DELAY_S

SUMMARY = (
    "Facts of a mobile laboratory on their way to the office, over MQTT 5. A fact may arrive any number of times and"
    " counts once; the lab keeps it until the office has acknowledged it. Whoever speaks as this document says can take"
    " the place of either side."
)

SECTIONS: tuple[tuple[str, str], ...] = (
    (
        "Identity",
        """
A fact is identified by lab, stream, epoch and seq.

- **lab**: the id of the laboratory, 1 to 32 characters of `a-z`, `0-9` and `-`, the first no `-`.
- **stream**: `visits`, `safety`, `jobs` or `metrics`, in this order of priority. The type of a fact decides its
  stream.
- **epoch**: a fresh random id at each start of the lab's service. A card that was cloned or put back therefore never
  gives out a seq a second time. The fact `lab.started` is the first of each epoch and says which one came before.
- **seq**: a whole number from 1, without gaps within stream and epoch, given in the transaction that stores the fact.

The receiver keeps what it has by this identity: a fact that comes again changes nothing.
""",
    ),
    (
        "Batches",
        f"""
Facts travel in batches of 1 to {MAX_EVENTS} consecutive ones. A payload has at most {MAX_PAYLOAD:,} bytes, its JSON
{MAX_RAW:,}. The JSON is canonical (keys sorted, no spaces, UTF-8, no NaN) and packed as one zstd frame that states
its size. A body has at most {MAX_FIELDS} fields, names of at most {MAX_NAME} characters, and {MAX_BODY:,} characters
of names and texts in all; labs write no more than half of that. A fact that comes on another stream than that of its
type is kept and not counted. The hash of a batch is the SHA-256 of the canonical JSON, whatever the packing.

A lab cuts a batch once, remembers where it cut, and sends it again as it was, so that each batch can carry the hash
of the one sent before it in the same stream and epoch (`prev`, null in the first). A batch ends at a gap, see
below; the next one carries the hash of the batch before the gap. A chain that does not hold is shown to a person.
It is no reason to refuse facts.

Clock values come as columns of differences: `boottime` is the boot-time clock in ns, first the value, then what it
grew by; `time` is the raw wall clock less the boot-time clock, in the same way.
""",
    ),
    (
        "Acknowledgements",
        """
The office stores a batch, adds up only the facts that it did not have, moves the watermark, commits, and only then
sends an acknowledgement: everything up to and including `w` is in its ledger, `missing` are ranges above that which
it knows to lack. A batch that comes again is acknowledged again. The lab forgets facts up to the watermark and no
others; a PUBACK of the broker is not delivery and means nothing here.

The lab sends a batch again when three round trips have passed, doubled with each further try and with some chance
in it, or at once when the office names it as missing. An acknowledgement is also an anchor for the lab's clock:
`time` is the UTC of the office between the first sending of the batch and the arrival of the answer.
""",
    ),
    (
        "Gaps",
        f"""
A lab whose disk is full rolls readings of machines up, and later drops the oldest, jobs only after these; visits are
never dropped. In the same transaction it writes the fact `stream.gap`, which names stream, epoch and range. These
facts will never come: the office's watermark passes such a range, and the lab does not send it. A hole without such
a fact stays a hole, and is shown.

The one that says so may be a copy of a card whose disk was damaged, while the other still has the facts. Of the
streams visits and safety the office therefore names in an acknowledgement the ranges that it passed without having
them (`explained`, at most {MAX_EXPLAINED}; where there are more, `w` stays below the next). A lab that holds facts of
such a range forgets none from the first of them on, and sends them.
""",
    ),
    (
        "Presence, and live before backlog",
        f"""
Presence is retained and the first message on a connection. It carries `totals`, counters per epoch that only grow;
the office takes the maximum of the lab's word and its own ledger, so that the number of people is right one message
after connecting, however long the backlog. `closed` names former epochs with their last seq per stream: what the
office then lacks of them is known to lack. A lab with more waiting epochs than fit well into a message (200) names
the oldest and the newest ones, the others once the office has these.

The will says offline {PRESENCE_WILL_DELAY_S} s after a connection was lost; a lab that ends in order says so itself.

Streams drain by priority, but how an epoch began (the first batch of `safety`) goes before what was counted in it. What
may be under way is bounded in bytes by the round trip: the window grows while acknowledgements come as fast as on an
idle line and shrinks with the queue that our own bytes make, so that a visitor who is counted during a backlog waits
for tenths of a second, not for the backlog.
""",
    ),
    (
        "The connection",
        """
MQTT 5, clean start, session expiry 0: what is lost with a connection is sent again. QoS 1 for all but the live
state. The lab keeps to the receive maximum and the maximum packet size of the CONNACK and cuts batches that fit. It
needs QoS 1, retained messages and wildcard subscriptions, and says so where a broker lacks them. Reason codes of
CONNACK, SUBACK, PUBACK and DISCONNECT are shown to the operator in words. Topic aliases are not used: a topic is 25
bytes beside thousands.

The client's name is `infomobil-LAB-EPOCH8`, with eight characters of the epoch, so that a clone of the card does
not throw the lab out. The broker lets a lab publish to its own topics only and read its own `ack` only.

The office subscribes to `$share/ingest/im/v1/+/up/+`, so that any number of workers share the batches, and to
`im/v1/+/presence`. `im/v1/{lab}/cmd/{name}` is reserved: no command is defined, a lab does not listen there, and
none will ever move a machine.
""",
    ),
    (
        "Reading",
        """
Reading is total: whatever the bytes, the answer is a value or a sentence that says what is wrong with them. The
office sets a bad payload aside and goes on. A body that is not what its type promises is stored, marked and not
added up; it never holds up the facts behind it. Whole numbers in bodies stay within 2^53, so that no reader loses
digits.

Bodies are flat and hold no personal data: no names, no contacts, no ages.
""",
    ),
    (
        "On a stick",
        """
The same bytes can come on a USB stick: a zip archive with `manifest.json`, its Ed25519 signature, the presence, and
`batches/STREAM-EPOCH-S0.imb`, each the payload of one batch. The office knows the lab's key from its presence. What
comes both ways counts once.
""",
    ),
    (
        "Versions",
        """
Labs are brought up to date when they come home, the office when it likes: each must understand the other's past and
future. This document has a version `MAJOR.MINOR`; `MAJOR` is the `v1` of the topics and the `v` of the payloads.

Within a `MAJOR`

1. a field that was required stays so, no later field is required;
2. a field keeps its meaning, its type, its unit and its allowed values; another meaning is another field or type;
3. new types of facts may come, on the four streams that there are;
4. a reader ignores fields and user properties that it does not know, and keeps fields of bodies that it does not
   know;
5. an office stores facts of types that it does not know, and acknowledges them; it adds them up once it knows them;
6. what is left out has the meaning that it had before the field existed.

Anything else is a new `MAJOR` on topics of its own. An office then reads both for as long as a lab speaks the old
one.

A lab of 1.0 and the old office's own code are kept with the tests: the new office reads what the old lab really
said, and the old code reads what a new lab says.

- **1.0**: visits, kiosk sessions, jobs, safety, readings of machines.
- **1.1**: the types `machine.gap`, `parts.made`, `program.loaded`, `lab.started`, `clock.anchor`, `clock.quality`,
  `stream.gap`, `survey.answered` and `machine.rollup`; `school_type` of `visit.opened`; `entry` and `by` of
  `visit.headcount`; `install`, `ordinal`, `key` and `health` of presence, `epoch` of its farewell; `explained` of
  acknowledgements; gaps; the epoch in the client's name; sticks.
""",
    ),
)
