import { type AboutInfo, data } from '@hypostyle/vim';

/** What a center says of itself. Clients decide by `productLineId` and `apiType` whom they speak to. */
export function aboutCenter(options: { readonly version: string; readonly instanceUuid: string }): AboutInfo {
  return data('AboutInfo', {
    name: 'Hypostyle',
    fullName: `Hypostyle ${options.version}`,
    vendor: 'Hypostyle',
    // Clients compare this with the versions of vCenter that they know; the product's own version is in fullName.
    version: '8.0.3',
    patchLevel: '0',
    build: '1',
    localeVersion: 'INTL',
    localeBuild: '000',
    osType: 'linux-x64',
    productLineId: 'vpx',
    apiType: 'VirtualCenter',
    apiVersion: '8.0.3.0',
    instanceUuid: options.instanceUuid,
    licenseProductName: 'Hypostyle',
    licenseProductVersion: options.version,
  });
}
