import {
  type Content,
  type Envelope,
  isEncrypted,
  type LocalizedText,
  localize,
  OvfError,
  type OvfWarning,
  placementGroups,
  resolveHardware,
  resolveProperties,
  type SignatureVerdict,
  scaleOutChoices,
  virtualSystems,
} from '@hypostyle/ovf';

/** What is known of a package before it is deployed. */
export interface SummaryInput {
  readonly envelope: Envelope;
  readonly descriptorName: string;
  readonly warnings: readonly OvfWarning[];
  /** Algorithms of the manifest; absent without one. */
  readonly manifest?: readonly string[];
  readonly signature: SignatureVerdict;
  /** Deployment option that the hardware is shown for. */
  readonly option?: string;
  /** Language of texts that the package has in several, such as `de-DE`. */
  readonly language?: string;
}

/** The picture that a person wants of a package before deploying it. */
export function summarize(input: SummaryInput) {
  const { descriptorName, envelope, option, language = 'en-US' } = input;
  const textOf = (text: LocalizedText | undefined) =>
    text === undefined ? undefined : localize(envelope, text, language).trim() || undefined;
  const systems = virtualSystems(envelope);
  const warnings = [...input.warnings];
  const files = new Map(envelope.files.map((file) => [file.id, file]));
  /** What cannot be resolved is a warning: the rest is worth to be seen. */
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof OvfError) || error.code === 'configuration-unknown') throw error;
      warnings.push({ detail: error.detail, location: error.location });
      return undefined;
    }
  };
  return {
    descriptor: descriptorName,
    ovfVersion: envelope.version,
    name: textOf(envelope.content.name) ?? envelope.content.id,
    products: contentsOf(envelope.content).flatMap(({ id, products }) =>
      products
        .filter(({ product, vendor, version }) => product ?? vendor ?? version)
        .map(({ product, vendor, version, fullVersion, productUrl }) => ({
          of: id,
          product: textOf(product),
          vendor: textOf(vendor),
          version: fullVersion ?? version,
          url: productUrl,
        })),
    ),
    annotations: contentsOf(envelope.content).flatMap(({ annotations }) =>
      annotations.flatMap(({ annotation }) => textOf(annotation) ?? []),
    ),
    systems: systems.map((system) => {
      const hardware = attempt(() =>
        resolveHardware(envelope, system, {
          fileName: descriptorName,
          ...(option === undefined ? {} : { configuration: option }),
        }),
      );
      warnings.push(...(hardware?.warnings ?? []));
      return {
        id: system.id,
        name: textOf(system.name) ?? system.id,
        guest: textOf(system.operatingSystem?.description) ?? system.operatingSystem?.vmwareType,
        families: hardware?.systemTypes ?? [],
        cpus: hardware?.cpus,
        memoryMiB: hardware?.memoryMiB,
        firmware: hardware?.firmware,
        disks: (hardware?.disks ?? []).map(({ label, capacity, capacityProperty, disk, file }) => ({
          label,
          disk: disk?.id,
          capacity: capacity ?? (capacityProperty === undefined ? undefined : `by ${capacityProperty.key}`),
          file: file?.href,
          parent: disk?.parentId,
        })),
        nics: (hardware?.nics ?? []).map(({ label, model, network, mac }) => ({ label, model, network, mac })),
        drives: [...(hardware?.cdroms ?? []), ...(hardware?.floppies ?? [])].map(({ label, file }) => ({
          label,
          file: file?.href,
        })),
        environment: hardware?.transports ?? [],
      };
    }),
    networks: (envelope.networkSection?.networks ?? []).map(({ name, description }) => ({
      name,
      description: textOf(description),
    })),
    disks: (envelope.diskSection?.disks ?? []).map(({ id, capacity, populatedSize, format, fileId, parentId }) => ({
      id,
      capacity: 'bytes' in capacity ? capacity.bytes : `by ${capacity.property}`,
      populated: populatedSize,
      format: format?.split('#')[1] ?? format,
      file: fileId === undefined ? undefined : files.get(fileId)?.href,
      parent: parentId,
    })),
    options: (envelope.deploymentOptionSection?.configurations ?? []).map((one) => ({
      id: one.id,
      label: textOf(one.label),
      description: textOf(one.description),
      default: one.isDefault ?? false,
    })),
    scaleOut: scaleOutChoices(envelope, option).map(({ id, description, minimum, default: count, maximum }) => ({
      id,
      description: textOf(description),
      minimum,
      default: count,
      maximum: Number.isFinite(maximum) ? maximum : undefined,
    })),
    placement: placementGroups(envelope).map(({ section, systems: members }) => ({
      id: section.id,
      policy: section.policy,
      description: textOf(section.description),
      systems: members.map(({ id }) => id),
    })),
    properties: (
      attempt(() =>
        resolveProperties(envelope, [], {
          allowMissing: true,
          fileName: descriptorName,
          ...(option === undefined ? {} : { configuration: option }),
        }),
      ) ?? []
    ).map(({ entityId, key, value, password, userConfigurable, missing, property }) => ({
      of: entityId,
      key,
      type: property.type,
      label: textOf(property.label),
      value: password ? undefined : value,
      password,
      userConfigurable,
      needed: missing,
    })),
    licences: contentsOf(envelope.content).flatMap(({ id, eulas }) =>
      eulas.map(({ license }) => ({ of: id, text: textOf(license) ?? '' })),
    ),
    files: envelope.files.map(({ href, size, compression, chunkSize, ...file }) => ({
      href,
      size,
      compression,
      chunkSize,
      encrypted: isEncrypted(envelope, { ...file, href }),
      outside: /^[a-z][a-z0-9+.-]*:\/\//i.test(href),
    })),
    storedBytes: envelope.files.reduce((sum, { size }) => sum + (size ?? 0), 0),
    manifest: input.manifest ?? [],
    signature: input.signature,
    warnings: warnings.map(({ detail, location }) => ({ detail, ...location })),
  };
}

export type PackageSummary = ReturnType<typeof summarize>;

function contentsOf(content: Content): Content[] {
  return content.kind === 'VirtualSystem' ? [content] : [content, ...content.contents.flatMap(contentsOf)];
}
