import { after } from 'node:test';
import { storeConformance } from '@hypostyle/contracts/testing';
import { PostgresServer } from '../testing/postgres-server.ts';

const server = await PostgresServer.start();
after(() => server.remove());
process.env.HYPOSTYLE_TEST_POSTGRES = server.url;

storeConformance({ name: 'PostgreSQL', driver: new URL('../testing/postgres-driver.ts', import.meta.url) });
