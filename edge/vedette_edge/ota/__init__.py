"""Updates of models from afar: fetched by what is signed, proved, tried, and taken back by themselves.

    release    what a release is, and who takes part in its rollout            (signed, from the repository)
    record     where an update of one model stands                             (written by the updater alone)
    evidence   what the agent saw of the model that is being tried             (written by the agent alone)
    layout     where all that lies

    trust      which releases are believed; by client, guard and floor         (the updater's)
    download   files that are resumed; by fetcher and pace
    machine    what follows what in an update: pure
    store      two slots and a record; by slots, contents and disk
    probe      a candidate in a process of its own
    visit      one look, from idle as far as it goes; by stages

    bundles    which slot of a model store is a model's bundle now             (the agent's)
    following  record and evidence: what runs, and what is counted before it does
    witness    whether a candidate does its work
    shadow     a candidate beside the model that alarms; comparing says how the two differ
    trials     all that are being tried
    updates    all of the agent's part
    payloads   what is said of it over MQTT, in a report; a hint in return can only ask to look now

The updater (`edge-agent ota look`, a timer's oneshot) is the only writer of the model store; the agent only
reads it, and says what it saw in a file of its own. Neither trusts the other to be alive. See docs/ota.md.
"""
