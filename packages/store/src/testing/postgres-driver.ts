import { createHash } from 'node:crypto';
import type { Store } from '@hypostyle/contracts';
import { openPostgresStore } from '../index.ts';

/** What the conformance suite opens: for each folder a namespace of the server that HYPOSTYLE_TEST_POSTGRES names. */
export const open = (folder: string): Promise<Store> =>
  openPostgresStore({
    connection: process.env.HYPOSTYLE_TEST_POSTGRES ?? '',
    namespace: `t_${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`,
    waitForOwner: 30_000,
  });
