/**
 * OVF: descriptors as typed values, OVA archives as streams, manifests, hardware, properties, environments.
 *
 *     const ova = await openOvf('appliance.ova');
 *     const [system] = virtualSystems(ova.envelope);
 *     const hardware = resolveHardware(ova.envelope, system);
 *     for (const disk of hardware.disks) if (disk.file) for await (const part of ova.open(disk.file.href)) …
 */

export type { CipherName } from './encryption/algorithms.ts';
export { isEncrypted } from './encryption/encrypted-files.ts';
export { type EncryptionOptions, withoutEncryption } from './encryption/encrypting.ts';
export { selectConfiguration } from './envelope/deployment-configuration.ts';
export * from './envelope/envelope.ts';
export { type EnvelopeOptions, parseEnvelope, readEnvelope } from './envelope/envelope-reader.ts';
export { virtualSystems } from './envelope/envelope-references.ts';
export { formatEnvelope } from './envelope/envelope-writer.ts';
export { type PlacementGroup, type PlacementPolicy, placementGroups, placementPolicy } from './envelope/placement.ts';
export {
  type PropertyOptions,
  type PropertyOverride,
  propertyKey,
  type ResolvedProperty,
  resolveProperties,
} from './envelope/properties.ts';
export { type DefaultOptions, withPropertyDefaults } from './envelope/property-defaults.ts';
export { checkPropertyValue, type PropertyQualifiers, parseQualifiers } from './envelope/property-value.ts';
export {
  type CountRange,
  type ScaleOutChoice,
  type ScaleOutOptions,
  scaleOutChoices,
  withInstances,
} from './envelope/scale-out.ts';
export {
  formatSection,
  furtherEnvelopeSections,
  furtherSections,
  parseSection,
} from './envelope/section-text.ts';
export { localize, parseStringBundle } from './envelope/strings.ts';
export { type AllocationUnit, parseAllocationUnit, quantityInBytes } from './envelope/units.ts';
export type * from './envelope/version2-sections.ts';
export type * from './envelope/vmware-sections.ts';
export {
  type Environment,
  type EnvironmentAdapter,
  type EnvironmentPlatform,
  type EnvironmentProperty,
  environmentOf,
  formatEnvironment,
} from './environment/environment.ts';
export { type IsoFile, type IsoOptions, writeIso } from './environment/environment-iso.ts';
export { parseEnvironment } from './environment/environment-reader.ts';
export { OvfError, type OvfErrorCode, type OvfLocation, type OvfWarning } from './errors.ts';
export { type HardwareOptions, resolveHardware } from './hardware/hardware.ts';
export type * from './hardware/hardware-description.ts';
export type { ControllerModel, NicModel } from './hardware/hardware-models.ts';
export type { OvaContent, OvaFile } from './package/archive/ova-file.ts';
export { indexOva } from './package/archive/ova-index.ts';
export { type OvaStream, readOva } from './package/archive/ova-reader.ts';
export { type KeptManifest, type OvaInput, type OvaOutput, writeOva } from './package/archive/ova-writer.ts';
export type { TarEntry } from './package/archive/tar-entries.ts';
export { type DiskLayer, diskLayers } from './package/content/disk-layers.ts';
export { openNameless, type RandomAccessFile, type RandomAccessOptions } from './package/content/random-access.ts';
export {
  type DigestAlgorithm,
  formatManifest,
  type Manifest,
  type ManifestEntry,
  parseManifest,
} from './package/digests/manifest.ts';
export { type OpenOptions, type OvfPackage, openOvf, openPackage } from './package/ovf-package.ts';
export { packageName } from './package/package-name.ts';
export type { PackageOptions } from './package/package-options.ts';
export {
  type ByteRange,
  type FileLocation,
  folderSource,
  ovaSource,
  type PackageSource,
} from './package/package-source.ts';
export type { PackageChanges } from './package/save/package-plan.ts';
export { type SaveOptions, saveArchive, saveFolder, streamArchive, unpackStream } from './package/save/save-package.ts';
export { type SignFolderOptions, signFolder } from './package/save/sign-folder.ts';
export { onTarget, type TargetOptions, writeWholeFile } from './package/save/whole-file.ts';
export type { FileStatus, FileVerdict, PackageVerdict } from './package/verify/package-verdict.ts';
export { type PackageValidationOptions, validatePackage } from './package/verify/validate-package.ts';
export { type VerifyOptions, verifyPackage } from './package/verify/verify-package.ts';
export { verifyOvaStream } from './package/verify/verify-stream.ts';
export { readCertificates } from './signature/certificate.ts';
export { type ManifestSigner, manifestSigner, type SigningOptions } from './signature/sign-manifest.ts';
export {
  type CertificateSummary,
  type SignatureOptions,
  type SignatureStatus,
  type SignatureVerdict,
  verifySignature,
} from './signature/verify-signature.ts';
export { formatIssue, type ValidationIssue } from './validation/issue-log.ts';
export { type Severity, type ValidationMode, type ValidationRule, validationRules } from './validation/rules.ts';
export {
  type ValidationOptions,
  type ValidationReport,
  validateDescriptor,
  validateEnvelope,
} from './validation/validate-envelope.ts';
export type { XmlLimits } from './xml/xml-reader.ts';
export type { XmlAttribute, XmlElement } from './xml/xml-tree.ts';
export { formatXml } from './xml/xml-writer.ts';
