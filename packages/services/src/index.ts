export {
  checkRelativePath,
  type DatastorePath,
  formatDatastorePath,
  joinPath,
  parseDatastorePath,
  splitPath,
} from './datastore-path.ts';
export { type DatastoreRoot, openInRoot, resolveInRoot, shownPath } from './datastore-root.ts';
export { createDelta, nextDeltaName, renewContentId } from './disks/delta.ts';
export { type DiskChain, type DiskLink, readDiskChain } from './disks/disk-chain.ts';
export { faults, fileFault } from './errors.ts';
export { isHiddenName, isHiddenPath } from './hidden-names.ts';
