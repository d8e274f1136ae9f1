export { systemClock } from '@hypostyle/vim';
export { type FolderEntry, findEntry, listFolder } from './datastore-index.ts';
export {
  checkRelativePath,
  type DatastorePath,
  formatDatastorePath,
  joinPath,
  parseDatastorePath,
  splitPath,
} from './datastore-path.ts';
export { type DatastoreRoot, openInRoot, resolveInRoot, shownPath } from './datastore-root.ts';
export { type DatastoreSearch, searchDatastore } from './datastore-search.ts';
export { openDiskInRoot } from './disk-chain.ts';
export { diskDownloadTarget, provideDisk } from './disk-download.ts';
export { type DiskReceiving, type DiskUpload, diskUploadTarget, receiveDisk } from './disk-upload.ts';
export { checkExtents } from './disks/check-extents.ts';
export { type CreateMachineDisk, createMachineDisk, machineDiskFiles } from './disks/create-disk.ts';
export { createDelta, nextDeltaName, renewContentId } from './disks/delta.ts';
export { type DiskChain, type DiskLink, readDiskChain } from './disks/disk-chain.ts';
export { faults, fileFault } from './errors.ts';
export { copyFile, type FilePlace, makeDirectory, moveFile, type TransferOptions } from './file-operations.ts';
export { type BusyCheck, checkIdle, deleteFile } from './file-removal.ts';
export { fileUploadTarget, type ReceivedFile, type ReceiveFileOptions, receiveFile } from './file-upload.ts';
export { type AccessVerdict, type FolderAccess, handleFolderRequest } from './folder-handler.ts';
export { freeBytesOf } from './free-space.ts';
export { isHiddenName, isHiddenPath } from './hidden-names.ts';
export type { FileRequest, FileResponse } from './http-exchange.ts';
export type { NamedNetwork } from './import/device-changes.ts';
export { type ImportDevice, importDevices, nvramKey } from './import/import-devices.ts';
export { createImportSpec, type ImportSpecRequest } from './import/import-spec.ts';
export { environmentDisc, type OvfEnvironmentRequest, ovfEnvironment } from './import/ovf-environment.ts';
export { parseOvfDescriptor } from './import/parse-descriptor.ts';
export { checkVAppValue, parseVAppType, type VAppType, vAppPropertyKey } from './import/vapp-value.ts';
export { removeLeftovers } from './leftovers.ts';
export { handleTransferRequest } from './nfc-handler.ts';
export type { ServedFile } from './served-file.ts';
export type { LeaseOwner, LeaseState, TransferLease } from './transfer-lease.ts';
export {
  type LeasedContents,
  type LeaseRequest,
  type OpenedLease,
  TransferLeases,
  type TransferLeasesOptions,
} from './transfer-leases.ts';
export type { ProvideOptions, ReceiveOptions, TransferTarget } from './transfer-target.ts';
