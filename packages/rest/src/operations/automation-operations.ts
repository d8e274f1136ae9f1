import type { AboutInfo, SessionService } from '@hypostyle/vim';
import { openApiOperation } from '../openapi/openapi-operation.ts';
import type { TagService } from '../tagging/tag-service.ts';
import { applianceOperations } from './appliance.ts';
import { customizationOperations } from './customization-specs.ts';
import { guestFileOperations } from './guest/files.ts';
import { guestProcessOperations } from './guest/processes.ts';
import { listOperations } from './inventory-lists.ts';
import { objectOperations } from './inventory-objects.ts';
import { adapterOperations } from './machine-adapters.ts';
import { consoleOperations } from './machine-console.ts';
import { copyOperations } from './machine-copies.ts';
import { deviceOperations } from './machine-devices.ts';
import { guestOperations } from './machine-guest.ts';
import { hardwareOperations } from './machine-hardware.ts';
import { machineOperations } from './machines.ts';
import type { Operation } from './operation.ts';
import { sessionOperations } from './session.ts';
import { taggingOperations } from './tagging.ts';

export interface AutomationOperationsOptions {
  readonly sessions: SessionService;
  readonly tags: TagService;
  readonly product: Pick<AboutInfo, 'name' | 'version' | 'build' | 'instanceUuid'>;
}

/** The table of routes: from it come the dispatch, the checks at the edge and the OpenAPI document. */
export function automationOperations({ sessions, tags, product }: AutomationOperationsOptions): Operation[] {
  const operations = [
    ...sessionOperations(sessions),
    ...listOperations,
    ...objectOperations,
    ...machineOperations,
    ...copyOperations,
    ...customizationOperations,
    ...hardwareOperations,
    ...deviceOperations,
    ...adapterOperations,
    ...guestOperations,
    ...guestProcessOperations,
    ...guestFileOperations,
    ...consoleOperations,
    ...taggingOperations(tags),
    ...applianceOperations(product),
  ];
  return [...operations, openApiOperation(operations, product)];
}
