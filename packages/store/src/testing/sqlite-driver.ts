import { join } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { openStore } from '../index.ts';

/** What the conformance suite opens. */
export const open = (folder: string): Promise<Store> => openStore({ path: join(folder, 'store.db') });
