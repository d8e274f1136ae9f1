export { type CheckedChainDisk, type CheckedExtent, checkDisk, type DiskCheck } from './check/check-disk.ts';
export { type Finding, type FindingCode, findingKinds, type Severity } from './check/findings.ts';
export { type DiskRepair, type RepairAction, repairDisk } from './check/repair-disk.ts';
export type { DiskCheckOptions, RepairOptions } from './check/repair-options.ts';
export {
  type ConvertKind,
  type ConvertOptions,
  type ConvertResult,
  type ConvertTarget,
  convertDisk,
} from './convert/convert-disk.ts';
export type { ConvertSource, OrderedSource } from './convert/convert-source.ts';
export type { ConvertProgress } from './convert/copy-disk.ts';
export { blockSource, rawSource, rawStream } from './convert/disk-streams.ts';
export {
  type CreatableKind,
  type CreateDiskOptions,
  creatableKinds,
  createDisk,
} from './create/create-disk.ts';
export { chained } from './decorators/chained.ts';
export { type BlockDigests, type CheckedDisk, type CheckOptions, checked } from './decorators/checked.ts';
export { type ReadAheadOptions, readAhead } from './decorators/read-ahead.ts';
export { readOnly } from './decorators/read-only.ts';
export { type ThrottledDisk, type ThrottleOptions, throttled } from './decorators/throttled.ts';
export type { Clock, Rate } from './decorators/token-bucket.ts';
export { type Window, windowed } from './decorators/windowed.ts';
export {
  type ChainFacts,
  type DescribeOptions,
  type DiskFacts,
  describeChain,
  type ExtentFacts,
} from './describe/describe-chain.ts';
export { readAnyDescriptor } from './descriptor/any-descriptor.ts';
export { newContentId, replaceContentId, withContentId } from './descriptor/content-id.ts';
export { type DeltaDescriptorOptions, deltaCreateType, deltaDescriptor, deltaExtentType } from './descriptor/delta.ts';
export {
  type Descriptor,
  descriptorBytes,
  formatContentId,
  formatDescriptor,
  maximumDescriptorBytes,
  noParent,
  type ParseDescriptorOptions,
  parseDescriptor,
} from './descriptor/descriptor.ts';
export {
  buildDescriptor,
  type DescriptorChanges,
  type DescriptorFields,
  editDescriptor,
} from './descriptor/descriptor-edit.ts';
export { decodeDescriptor, encodeDescriptor } from './descriptor/descriptor-encoding.ts';
export { readDescriptor, type WriteDescriptorOptions, writeDescriptor } from './descriptor/descriptor-file.ts';
export { type DiskDatabaseOptions, diskDatabase } from './descriptor/disk-database.ts';
export { formatDiskUuid } from './descriptor/disk-uuid.ts';
export type { ExtentDescription } from './descriptor/extent-line.ts';
export {
  type OutsideReference,
  type ResolveOptions,
  resolveReference,
  withinFolders,
} from './descriptor/extent-path.ts';
export { type AdapterType, adapterTypes, type Geometry, geometryOf } from './descriptor/geometry.ts';
export {
  type SettlingDescriptorOptions,
  type SettlingPlaces,
  settledDescriptor,
  settlingCreateType,
  settlingDescriptor,
  settlingPlaces,
  withSettlingFlat,
} from './descriptor/settling.ts';
export type { Block, Disk, DiskRange, RangeOptions } from './disk/disk.ts';
export type { DiskWarning, OnWarning } from './disk/disk-warning.ts';
export { type OpenDiskOptions, openDisk } from './disk/open-disk.ts';
export type { OperationRecord } from './disk/operation-record.ts';
export { readRecord as pendingOperation } from './disk/operation-record.ts';
export { VmdkError, type VmdkErrorCode, type VmdkErrorDetails, vmdkErrors } from './errors.ts';
export { changeImagePath, isChangeImage } from './flat/change-image.ts';
export {
  type CreateFlatDiskOptions,
  createFlatDisk,
  type FlatDescriptorOptions,
  flatDescriptor,
  flatNameOf,
} from './flat/create-flat.ts';
export { type Allocation, type CreateFlatExtentOptions, createFlatExtent } from './flat/create-flat-extent.ts';
export { type ConvertToForeignOptions, convertToForeign } from './foreign/convert-to-foreign.ts';
export { type ForeignFormat, foreignFormats, formatOf, type ImageFormat } from './foreign/foreign-format.ts';
export { type OpenAnyDiskOptions, openAnyDisk } from './foreign/open-any-disk.ts';
export { type OpenRawDiskOptions, openRawDisk } from './foreign/open-raw-disk.ts';
export { isNbdUri, type NbdAddress, type NbdClientTls, nbdUri, parseNbdUri } from './nbd/address.ts';
export { type ChangedRange, type ChangeMap, changeMapOf } from './nbd/change-map.ts';
export type { NbdDisk } from './nbd/nbd-disk.ts';
export type { NbdExport, NbdExports } from './nbd/nbd-export.ts';
export { NbdServer, type NbdServerOptions, type NbdServerTls } from './nbd/nbd-server.ts';
export { listNbdExports, type OpenNbdDiskOptions, openNbdDisk, type ReachNbdOptions } from './nbd/open-nbd-disk.ts';
export {
  type AllocatedRange,
  type AllocationMapOptions,
  allocationMap,
} from './operations/allocation/allocation-map.ts';
export {
  type AllocationOptions,
  type ThickenOptions,
  thickenDisk,
  thinDisk,
} from './operations/allocation/change-allocation.ts';
export { type DefragmentOptions, defragmentDisk } from './operations/allocation/defragment-disk.ts';
export { diskFragmentation } from './operations/allocation/disk-fragmentation.ts';
export { type ZeroOptions, zeroDisk } from './operations/allocation/zero-disk.ts';
export { type ChildrenOptions, findChildren } from './operations/chain/children.ts';
export { type CommitOptions, commitDisk } from './operations/chain/commit-disk.ts';
export { type ConsolidateOptions, consolidateDisk } from './operations/chain/consolidate-disk.ts';
export { type CreateChildOptions, createChild } from './operations/chain/create-child.ts';
export { type FlattenOptions, flattenDisk } from './operations/chain/flatten-disk.ts';
export type { MergeOptions } from './operations/chain/merge-into-parent.ts';
export type { HintStyle } from './operations/chain/parent-link.ts';
export { type RebaseOptions, rebaseDisk } from './operations/chain/rebase-disk.ts';
export { type CompareOptions, type Comparison, compareDisks } from './operations/compare-disks.ts';
export { type DeleteDiskOptions, deleteDisk } from './operations/files/delete-disk.ts';
export { type RenameDiskOptions, renameDisk } from './operations/files/rename-disk.ts';
export { setDiskUuid } from './operations/files/set-disk-uuid.ts';
export type { OperationOptions, Progress } from './operations/operation-options.ts';
export { type ResizeOptions, resizeDisk } from './operations/size/resize-disk.ts';
export {
  type AbandonedOperation,
  type AbandonOptions,
  abandonOperation,
} from './operations/unfinished/abandon-operation.ts';
export { finishOperation } from './operations/unfinished/finish-operation.ts';
export { SettlePace } from './settle/pace.ts';
export type { SettleDigestAlgorithm } from './settle/settle-messages.ts';
export {
  isStreamOptimized,
  readStreamTables,
  type SettleStreamOptions,
  type StreamDigest,
  settleStream,
  verifyStream,
} from './settle/settle-stream.ts';
export type { StreamPlace } from './settle/stream-file.ts';
export { maximumVirtualBytes, sectorBytes } from './size.ts';
export { checkSparseExtent } from './sparse/check-extent.ts';
export { type CreateSparseDiskOptions, createSparseDisk, type ParentReference } from './sparse/create-sparse.ts';
export {
  directoryEntries,
  formatSparseHeader,
  isSparseHeader,
  parseSparseHeader,
  type SparseHeader,
  sparseFlags,
} from './sparse/sparse-header.ts';
export { type InflateOptions, type InflateResult, inflateToFlat } from './stream/inflate-to-flat.ts';
export {
  type LostRange,
  type RecoveredStream,
  type RecoverOptions,
  recoverStream,
  type StreamDamage,
} from './stream/recover-stream.ts';
export { readStreamOptimized, type StreamOptimizedReader, type StreamReaderOptions } from './stream/stream-reader.ts';
export { type BlockSource, type StreamOptimizedOptions, writeStreamOptimized } from './stream/stream-writer.ts';
