import { storeConformance } from '@hypostyle/contracts/testing';

storeConformance({ name: 'node:sqlite', driver: new URL('../testing/sqlite-driver.ts', import.meta.url) });
