export { systemClock } from '@hypostyle/vim';
export { changeImagePath, isChangeImage, newContentId, SettlePace } from '@hypostyle/vmdk';
export { type Bundle, type BundleEntry, bundleType } from './bundle/bundle-entry.ts';
export { flatDiskEntries } from './bundle/disk-bundle.ts';
export { contentEntry, fileBundle, fileEntry, folderEntry } from './bundle/file-bundle.ts';
export { totalOf } from './bundle/read-bundle.ts';
export { writeBundle } from './bundle/write-bundle.ts';
export {
  type Customization,
  checkCustomization,
  customizationDisc,
  customize,
} from './customization/customization.ts';
export type { CustomizedAdapter, CustomizedMachine } from './customization/customized-machine.ts';
export {
  type ChangedStretch,
  changedStretches,
  changeMapOfStretches,
  storedStretches,
} from './disks/changed-stretches.ts';
export { checkExtents } from './disks/check-extents.ts';
export {
  type CopyMachineDisk,
  changeDiskRoom,
  copyMachineDisk,
  type DiskAllocation,
  storedBytes,
} from './disks/copy-machine-disk.ts';
export { type CreateMachineDisk, createMachineDisk, machineDiskFiles } from './disks/create-disk.ts';
export { createDelta, deltaFiles, nextDeltaName, renewContentId } from './disks/delta.ts';
export { chainLayers, type DiskChain, type DiskLink, maximumChainLength, readDiskChain } from './disks/disk-chain.ts';
export { diskDownloadTarget, provideDisk } from './disks/disk-download.ts';
export { diskFault } from './disks/disk-faults.ts';
export { type DiskReceiving, type DiskUpload, diskUploadTarget, receiveDisk } from './disks/disk-upload.ts';
export { growMachineDisk } from './disks/grow-disk.ts';
export { openDiskInRoot } from './disks/open-disk-in-root.ts';
export { type ExportedDisk, type LeasedDiskPlace, openExportedDisk, openLeasedDisk } from './disks/open-leased-disk.ts';
export { type ParentLink, parentOf, relinkDelta, renewParent } from './disks/relink.ts';
export { type EndpointNames, openEndpointBase } from './endpoint/endpoint-base.ts';
export { openEndpointServices } from './endpoint/endpoint-services.ts';
export { entityDefaults, entityPerSession, quietEntity, reference } from './entities/entity-defaults.ts';
export { faults, fileFault } from './errors.ts';
export type { DescribedMember, DescribedVApp } from './export/create-vapp-descriptor.ts';
export { descriptorMethods } from './export/descriptor-methods.ts';
export { ovfExportOptions } from './export/export-options.ts';
export { type FolderEntry, findEntry, listFolder } from './files/datastore-index.ts';
export {
  checkRelativePath,
  type DatastorePath,
  formatDatastorePath,
  joinPath,
  parseDatastorePath,
  splitPath,
} from './files/datastore-path.ts';
export { type DatastoreRoot, openInRoot, resolveInRoot, shownPath } from './files/datastore-root.ts';
export { type DatastoreSearch, searchDatastore } from './files/datastore-search.ts';
export { renameNew } from './files/durable-rename.ts';
export { copyFile, type FilePlace, makeDirectory, moveFile, type TransferOptions } from './files/file-operations.ts';
export { type BusyCheck, checkIdle, deleteFile } from './files/file-removal.ts';
export { fileStem } from './files/file-stem.ts';
export { fileUploadTarget, type ReceivedFile, type ReceiveFileOptions, receiveFile } from './files/file-upload.ts';
export { freeBytesOf } from './files/free-space.ts';
export { datastoreMarker, isHiddenName, isHiddenPath, partialName } from './files/hidden-names.ts';
export { removeLeftovers } from './files/leftovers.ts';
export { Gathered } from './gathered.ts';
export { type AccessVerdict, type FolderAccess, handleFolderRequest } from './http/folder-handler.ts';
export {
  announcedLength,
  type FileRequest,
  type FileResponse,
  plainResponse,
  signInFirst,
  splitUrl,
} from './http/http-exchange.ts';
export { handleTransferRequest } from './http/nfc-handler.ts';
export type { ServedFile } from './http/served-file.ts';
export type { NamedNetwork } from './import/device-changes.ts';
export { type ImportDevice, importDevices, nvramKey } from './import/import-devices.ts';
export { ovfImportOptions } from './import/import-options.ts';
export { createImportSpec, type ImportSpecRequest, importSpecOn } from './import/import-spec.ts';
export { environmentDisc, type OvfEnvironmentRequest, ovfEnvironment } from './import/ovf-environment.ts';
export { type ImportedPlacement, importedPlacements } from './import/placement.ts';
export { validateOvfForHost } from './import/validate-host.ts';
export { checkVAppValue, parseVAppType, type VAppType, vAppPropertyKey } from './import/vapp-value.ts';
export { requireLocalCaller } from './leases/local-caller.ts';
export { localContent, readContent } from './leases/pull-content.ts';
export { webContent } from './leases/pull-web.ts';
export type { LeaseOwner, LeaseState, TransferLease } from './leases/transfer-lease.ts';
export {
  type LeasedContents,
  type LeasePulling,
  type LeaseRequest,
  type OpenedLease,
  TransferLeases,
  type TransferLeasesOptions,
} from './leases/transfer-leases.ts';
export type {
  LeasedDisk,
  LocalContent,
  ProvideOptions,
  ReceiveOptions,
  TransferTarget,
} from './leases/transfer-target.ts';
export { openWeb } from './leases/web-request.ts';
export { DiskExportFace, type DiskExportFaceOptions } from './nbd/disk-export-face.ts';
export {
  requireForDestroy,
  requireForMoveIntoFolder,
  requireForMoveIntoPool,
  requireForPool,
  requireForRename,
} from './privileges/entity-privileges.ts';
export {
  type MachinePlace,
  requireForClone,
  requireForCreate,
  requireForImport,
  requireForInstantClone,
  requireForMigrate,
  requireForRegister,
  requireForRelocate,
} from './privileges/machine-privileges.ts';
export { type PrivilegeScope, requireForFiles, requirePrivilege } from './privileges/privilege-scope.ts';
export { requireForReconfigure } from './privileges/reconfigure-privileges.ts';
export { DiskDamage } from './settle/disk-damage.ts';
export { type FinishDisk, finishDisk, type UnfinishedDisk } from './settle/finish-disk.ts';
export { checkSource, dropInflated, type InflateDisk, inflateDisk, recordOf } from './settle/inflate-disk.ts';
export { type SettleRecord, writeRecord as writeSettleRecord } from './settle/settle-record.ts';
export { NoRoom, roomIn } from './settle/settle-room.ts';
export { type SettlingDisk, settlingDisk } from './settle/settling-disk.ts';
export { type SettlingTargetOptions, settlingTarget } from './settle/settling-target.ts';
export { toolsDiscImage } from './tools/tools-disc.ts';
export { changedVApp, maximumVAppLength, type RefuseMember, vAppTransports } from './vapp/changed-vapp.ts';
export { checkConfigured } from './vapp/property-faults.ts';
export {
  type DiskChange,
  defragmentVirtualDisk,
  deleteVirtualDisk,
  extendVirtualDisk,
  inflateVirtualDisk,
  setVirtualDiskUuid,
  shrinkVirtualDisk,
  zeroFillVirtualDisk,
} from './virtual-disks/change-virtual-disk.ts';
export { copyVirtualDisk } from './virtual-disks/copy-virtual-disk.ts';
export { createVirtualDisk } from './virtual-disks/create-virtual-disk.ts';
export { type DiskForm, diskForm, refuseProfile } from './virtual-disks/disk-form.ts';
export { deleteMoved, finishRename, moveVirtualDisk } from './virtual-disks/move-virtual-disk.ts';
export { type DiskStep, undoStaged } from './virtual-disks/staged-disk.ts';
export {
  checkDiskName,
  diskGeometry,
  readVirtualDisk,
  virtualDiskFragmentation,
} from './virtual-disks/virtual-disk-facts.ts';
