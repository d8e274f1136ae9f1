/**
 * OVF: descriptors as typed values, OVA archives as streams, manifests, hardware, properties, environments.
 *
 *     const ova = await openOvf('appliance.ova');
 *     const [system] = virtualSystems(ova.envelope);
 *     const hardware = resolveHardware(ova.envelope, system);
 *     for (const disk of hardware.disks) if (disk.file) for await (const part of ova.open(disk.file.href)) …
 */
export { selectConfiguration } from './deployment-configuration.ts';
export * from './envelope.ts';
export { type EnvelopeOptions, parseEnvelope, readEnvelope } from './envelope-reader.ts';
export { virtualSystems } from './envelope-references.ts';
export { formatEnvelope } from './envelope-writer.ts';
export {
  type Environment,
  type EnvironmentAdapter,
  type EnvironmentPlatform,
  type EnvironmentProperty,
  environmentOf,
  formatEnvironment,
} from './environment.ts';
export { type IsoFile, type IsoOptions, writeIso } from './environment-iso.ts';
export { OvfError, type OvfErrorCode, type OvfLocation, type OvfWarning } from './errors.ts';
export { type HardwareOptions, resolveHardware } from './hardware.ts';
export type * from './hardware-description.ts';
export type { ControllerModel, NicModel } from './hardware-models.ts';
export { type DigestAlgorithm, formatManifest, type Manifest, type ManifestEntry, parseManifest } from './manifest.ts';
export { indexOva } from './ova-index.ts';
export { type OvaFile, type OvaStream, type PackageOptions, readOva } from './ova-reader.ts';
export { type OvaInput, type OvaOutput, writeOva } from './ova-writer.ts';
export { type OpenOptions, type OvfPackage, openOvf, openPackage } from './ovf-package.ts';
export { packageName } from './package-name.ts';
export { type ByteRange, folderSource, ovaSource, type PackageSource } from './package-source.ts';
export {
  type PropertyOptions,
  type PropertyOverride,
  propertyKey,
  type ResolvedProperty,
  resolveProperties,
} from './properties.ts';
export { checkPropertyValue, type PropertyQualifiers, parseQualifiers } from './property-value.ts';
export { localize, parseStringBundle } from './strings.ts';
export type { TarEntry } from './tar-entries.ts';
export { type AllocationUnit, parseAllocationUnit, quantityInBytes } from './units.ts';
export type { XmlLimits } from './xml-reader.ts';
export type { XmlAttribute, XmlElement } from './xml-tree.ts';
