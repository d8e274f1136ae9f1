import type { OvfErrorCode } from '@hypostyle/ovf';
import type { VmdkError, VmdkErrorCode } from '@hypostyle/vmdk';
import { CliError, type FailureKind } from './errors.ts';

export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  readonly next?: string;
}

const faultKinds: Readonly<Record<string, FailureKind>> = {
  InvalidLogin: 'unreachable',
  NotAuthenticated: 'unreachable',
  ManagedObjectNotFound: 'not-found',
  NotFound: 'not-found',
  FileNotFound: 'not-found',
  UserNotFound: 'not-found',
};

const nextSteps: Readonly<Record<string, string>> = {
  InvalidLogin: 'Check --username and --password-file, or HYPOSTYLE_USERNAME and HYPOSTYLE_PASSWORD.',
  DuplicateName: 'Choose another name; where there is --name, it gives one.',
  AlreadyBeingManaged: 'Use --force to take it from the center that has it.',
  AlreadyConnected: "'hypo host ls' shows it.",
  NoHost: 'Check the address and the port, and that the host runs there.',
  SSLVerifyFault:
    "Compare the thumbprint with what 'hypo host status' says on that machine, then give it with --thumbprint.",
  InvalidPowerState: "'hypo info' shows its state, 'hypo power' changes it.",
  TaskInProgress: "'hypo tasks --state running' shows what is going on.",
  FileAlreadyExists: 'Choose another name; where there is --force, it replaces a file.',
  NoPermission: 'Sign in as somebody who may do it, with --username.',
};

const diskNextSteps: Partial<Record<VmdkErrorCode, string>> = {
  unclean: "Look with 'hypo disk check', and repair it with 'hypo disk repair'.",
  'table-invalid': "Look with 'hypo disk check'; 'hypo disk repair' takes what the redundant tables have.",
  exists: 'Choose another name; where there is --force, it replaces a file.',
  'outside-folder': 'If that file is really meant, allow it with --allow-outside.',
  'parent-changed': "'hypo disk snapshot-chain' shows which disk of the chain has which CID.",
  'has-children': 'Those disks would be lost: merge or remove them first.',
  'nbd-refused': 'Check the name of the export, whether it may be written, and whether the server demands TLS (nbds:).',
  'nbd-unreachable': 'Check that the server runs, and whom it lets in.',
};

const packageNextSteps: Partial<Record<OvfErrorCode, string>> = {
  'digest-mismatch': "Get the package again; 'hypo ovf verify' says which files are damaged.",
  'manifest-invalid': "'hypo ovf pack' makes a new manifest, for files that you trust.",
  'file-unreferenced': 'If it does no harm there, use --lax.',
  'archive-truncated': 'Get the package again: it did not arrive whole.',
  'target-exists': 'Choose another target; where there is --force, it replaces a file.',
  'section-unknown': 'The package needs something that is not known here; whoever made it can leave it out.',
  'configuration-unknown': "'hypo ovf inspect' lists the deployment options.",
  encrypted: 'Give its passphrase with --passphrase-file, or in HYPOSTYLE_OVF_PASSPHRASE.',
  'passphrase-wrong': 'Give the passphrase of the package with --passphrase-file, or in HYPOSTYLE_OVF_PASSPHRASE.',
  'encryption-failed': "'hypo ovf pack --decrypt' makes a package in the clear.",
  'scale-out-invalid': "'hypo ovf inspect' shows what scales out, and how far.",
  'property-invalid': "'hypo ovf property ls' lists the properties, their types and qualifiers.",
};

/** Whether the disk that was named is not there at all. */
function isMissing(error: VmdkError): boolean {
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** Any error as what the person is told. The libraries that it may be of are loaded here: most commands need one. */
export async function describeFailure(error: unknown): Promise<Failure> {
  const [{ OvfError }, { ServerError }, { ClientError, VimFault }, { VmdkError }] = await Promise.all([
    import('@hypostyle/ovf'),
    import('@hypostyle/server'),
    import('@hypostyle/vim'),
    import('@hypostyle/vmdk'),
  ]);
  if (error instanceof CliError) {
    return { kind: error.kind, message: error.message, ...(error.next === undefined ? {} : { next: error.next }) };
  }
  if (error instanceof VimFault) {
    const next = nextSteps[error.type];
    return { kind: faultKinds[error.type] ?? 'failed', message: error.message, ...(next ? { next } : {}) };
  }
  if (error instanceof ClientError) {
    const next =
      error.code === 'certificate' || /certificate|self-signed/i.test(error.message)
        ? 'Name its authority with --ca-file, or its certificate with --fingerprint.'
        : "Check --url, and that the server runs ('hypo host status').";
    return { kind: 'unreachable', message: error.message, next };
  }
  if (error instanceof VmdkError) {
    const next = diskNextSteps[error.code];
    const kind = isMissing(error) ? 'not-found' : 'failed';
    return { kind, message: error.message, ...(next === undefined ? {} : { next }) };
  }
  if (error instanceof OvfError) {
    const next = packageNextSteps[error.code];
    // What a package should have and has not makes it a bad one; what the person named is not found.
    const named = error.code === 'file-missing' && error.location.section !== 'References';
    const kind = named ? 'not-found' : 'failed';
    return { kind, message: error.message, ...(next === undefined ? {} : { next }) };
  }
  if (error instanceof ServerError) {
    return { kind: error.code === 'address-invalid' ? 'usage' : 'failed', message: error.message };
  }
  return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
}
