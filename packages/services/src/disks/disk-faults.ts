import type { VimFault } from '@hypostyle/vim';
import { VmdkError, vmdkErrors } from '@hypostyle/vmdk';
import { faults, fileFault, systemCode } from '../errors.ts';
import { type DatastoreRoot, shownPath } from '../files/datastore-root.ts';

/** An error of reading or writing a virtual disk as a fault of its file; the host's own paths stay unsaid. */
export function diskFault(error: unknown, root: DatastoreRoot, path: string): VimFault {
  const shown = shownPath(root, path);
  if (systemCode(error)?.startsWith('Z_'))
    return faults.incorrectFileType(shown, 'it is not gzipped, or damaged', error);
  if (!(error instanceof VmdkError)) return fileFault(error, shown, root.name);
  if (isSystemError(error.cause)) return fileFault(error.cause, shown, root.name);
  if (error.code === 'exists') return faults.exists(shown);
  if (error.code === 'extent-missing' || error.code === 'parent-missing') {
    return faults.cannotAccess(shown, `the disk ${vmdkErrors[error.code]}`, error);
  }
  return faults.incorrectFileType(shown, `the disk ${vmdkErrors[error.code]}`, error);
}

/** What the operating system said, such as ENOSPC; zlib and Node have codes of their own, which are of the data. */
function isSystemError(cause: unknown): boolean {
  return /^E(?!RR_)/.test(systemCode(cause) ?? '');
}
