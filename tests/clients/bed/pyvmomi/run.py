"""Every case of pyVmomi, in the manner of its community samples."""
import cases
import reads  # noqa: F401
import machines  # noqa: F401
import hardware  # noqa: F401
import files  # noqa: F401
import guest_snapshots  # noqa: F401
import guests  # noqa: F401
import storage  # noqa: F401

cases.run_cases()
