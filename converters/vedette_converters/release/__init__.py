"""The release side of updates from afar: a TUF repository of plain files, and who takes a release when.

    DIR/metadata/        N.root.json, N.targets.json, N.FLEET.json, N.snapshot.json, timestamp.json  (served)
    DIR/targets/         FLEET/MODEL/SHA256.release.json, FLEET/MODEL/files/SHA256.SHA256          (served)
    DIR/root.json        the newest root, which devices are given when they are set up
    DIR.work/            what waits for signatures, and where rollouts stand                   (not served)

    keys          keys in files with passphrase, or wherever securesystemslib can sign
    keyring       the private keys at hand
    roles         what the metadata says: pure
    repository    reads and writes those files
    attempt       what would be published, signed and counted
    publishing    which metadata is due, in which order it is written: a reader finds the old or the new
    adding        a bundle becomes a release; an old release becomes a new one
    rotation      keys go and come
    policy        what a rollout does next, of counts and time: pure
    campaigns     starts, widens, pauses, aborts rollouts
    control       drives a rollout by what nodes report over MQTT

See docs/releasing.md.
"""
