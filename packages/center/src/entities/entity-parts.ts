import type { AlarmService, CustomFields } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { ContainerWork } from '../containers/container-work.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { PoolOperations } from '../pools/pool-operations.ts';
import type { PoolUsage } from '../pools/pool-usage.ts';
import type { VAppOperations } from '../vapps/vapp-operations.ts';
import type { VAppPower } from '../vapps/vapp-power.ts';

/** What the classes of entities are made of. */
export interface EntityParts {
  readonly core: CenterCore;
  readonly forwarding: Forwarding;
  readonly containers: ContainerWork;
  readonly pools: PoolOperations;
  readonly usage: PoolUsage;
  readonly vApps: VAppOperations;
  readonly vAppPower: VAppPower;
  readonly customFields: Pick<CustomFields, 'setCustomValue'>;
  /** Undefined until alarms are evaluated. */
  readonly alarms: () => AlarmService | undefined;
}
