import { storeConformance } from '@hypostyle/contracts/testing';

storeConformance({ name: 'node:sqlite', driver: new URL('./testing/driver.ts', import.meta.url) });
