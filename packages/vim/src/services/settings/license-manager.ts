import type { DataTypes } from '../../generated/types.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

export interface LicenseManagerOptions {
  readonly registry: Registry;
  readonly productName: string;
  readonly productVersion: string;
  /** Reference values of the LicenseManager and of its LicenseAssignmentManager. */
  readonly referenceValue?: string;
  readonly assignmentReferenceValue?: string;
  /** What the license covers, for who asks about all of it; without it whatever is asked about is covered. */
  readonly assets?: () => readonly LicensedAsset[];
}

export interface LicensedAsset {
  readonly entityId: string;
  readonly entityDisplayName: string;
}

/**
 * Adds the LicenseManager. The product is open source: there is one license, it covers everything, does not run out,
 * and keys can neither be added nor removed.
 */
export function addLicenseManager(options: LicenseManagerOptions): ManagedObjectReference<'LicenseManager'> {
  const { registry, productName, productVersion, assets } = options;
  const { referenceValue = 'LicenseManager', assignmentReferenceValue = 'LicenseAssignmentManager' } = options;
  const license: DataTypes['LicenseManagerLicenseInfo'] = {
    _typeName: 'LicenseManagerLicenseInfo',
    licenseKey: 'Apache-2.0',
    editionKey: 'openSource',
    name: 'Open source, Apache License 2.0',
    // 0 is no limit.
    total: 0,
    used: 0,
    costUnit: 'cpuPackage',
    properties: [
      { key: 'ProductName', value: productName },
      { key: 'ProductVersion', value: productVersion },
    ],
  };
  const assignmentClass: ManagedObjectClass<'LicenseAssignmentManager'> = {
    type: 'LicenseAssignmentManager',
    methods: {
      QueryAssignedLicenses: (_call, { entityId }) => {
        if (assets === undefined) return entityId === undefined ? [] : [{ entityId, assignedLicense: license }];
        return assets()
          .filter((asset) => entityId === undefined || asset.entityId === entityId)
          .map((asset) => ({ ...asset, assignedLicense: license }));
      },
    },
  };
  const managerClass: ManagedObjectClass<'LicenseManager'> = {
    type: 'LicenseManager',
    methods: { QuerySupportedFeatures: () => [], QueryLicenseSourceAvailability: () => [] },
  };
  return registry.commit((draft) =>
    draft.add(managerClass, referenceValue, {
      source: { _typeName: 'LocalLicenseSource', licenseKeys: '' } as DataTypes['LocalLicenseSource'],
      sourceAvailable: true,
      licensedEdition: license.editionKey,
      licenses: [license],
      featureInfo: [],
      evaluation: { properties: [] },
      licenseAssignmentManager: draft.add(assignmentClass, assignmentReferenceValue, {}),
    }),
  );
}
