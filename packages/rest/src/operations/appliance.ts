import type { AboutInfo } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { type Operation, operation } from './operation.ts';

/** What clients probe to learn which release they speak to. */
export function applianceOperations(product: Pick<AboutInfo, 'name' | 'version' | 'build'>): readonly Operation[] {
  return [
    operation({
      id: 'appliance.system.version.get',
      summary: 'Name and version of the product.',
      method: 'GET',
      path: '/appliance/system/version',
      rest: {},
      answer: Type.Object({
        product: Type.String(),
        type: Type.String(),
        version: Type.String(),
        build: Type.String(),
        summary: Type.String(),
        releasedate: Type.String(),
        install_time: Type.String(),
      }),
      run: () => ({
        product: product.name,
        type: 'vCenter Server with an embedded Platform Services Controller',
        version: product.version,
        build: product.build,
        summary: '',
        releasedate: '',
        install_time: '',
      }),
    }),
  ];
}
