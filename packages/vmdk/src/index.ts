export { checkSparseExtent } from './check-extent.ts';
export { newContentId, replaceContentId, withContentId } from './content-id.ts';
export {
  type CreateFlatDiskOptions,
  type CreateFlatExtentOptions,
  createFlatDisk,
  createFlatExtent,
  type FlatDescriptorOptions,
  flatDescriptor,
  flatNameOf,
} from './create-flat.ts';
export { type CreateSparseDiskOptions, createSparseDisk } from './create-sparse.ts';
export { type DeltaDescriptorOptions, deltaCreateType, deltaDescriptor, deltaExtentType } from './delta.ts';
export {
  type Descriptor,
  descriptorBytes,
  formatContentId,
  formatDescriptor,
  maximumDescriptorBytes,
  noParent,
  type ParseDescriptorOptions,
  parseDescriptor,
} from './descriptor.ts';
export { buildDescriptor, type DescriptorChanges, type DescriptorFields, editDescriptor } from './descriptor-edit.ts';
export { decodeDescriptor, encodeDescriptor } from './descriptor-encoding.ts';
export { readDescriptor, type WriteDescriptorOptions, writeDescriptor } from './descriptor-file.ts';
export type { Block, Disk, DiskRange, RangeOptions } from './disk.ts';
export { type DiskDatabaseOptions, diskDatabase } from './disk-database.ts';
export { VmdkError, type VmdkErrorCode, type VmdkErrorDetails, vmdkErrors } from './errors.ts';
export type { ExtentDescription } from './extent-line.ts';
export { type OutsideReference, type ResolveOptions, resolveReference } from './extent-path.ts';
export { type AdapterType, adapterTypes, type Geometry, geometryOf } from './geometry.ts';
export { type InflateOptions, type InflateResult, inflateToFlat } from './inflate-to-flat.ts';
export { type OpenDiskOptions, openDisk } from './open-disk.ts';
export { maximumVirtualBytes, sectorBytes } from './size.ts';
export {
  directoryEntries,
  formatSparseHeader,
  isSparseHeader,
  parseSparseHeader,
  type SparseHeader,
  sparseFlags,
} from './sparse-header.ts';
export { readStreamOptimized, type StreamOptimizedReader, type StreamReaderOptions } from './stream-reader.ts';
export { type BlockSource, type StreamOptimizedOptions, writeStreamOptimized } from './stream-writer.ts';
