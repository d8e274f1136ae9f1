// Debian's clients, unmodified, against a host and a center with real machines: node scripts/run.mjs tests/clients/bed/main.ts
//   --client NAME,…  --endpoint host|center  --case PART  --quick  --json
import { parseArgs } from 'node:util';
import { endpoints, type Outcome } from './case.ts';
import { testClients } from './clients.ts';
import { failureText, tableOf } from './report.ts';
import { openBed, runClients } from './run-bed.ts';

const { values } = parseArgs({
  options: {
    client: { type: 'string' },
    endpoint: { type: 'string' },
    case: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const wanted = values.client?.toLowerCase().split(',');
const clients = testClients.filter(
  ({ name }) => wanted === undefined || wanted.some((part) => name.toLowerCase().includes(part)),
);
const at = endpoints.filter((each) => values.endpoint === undefined || each === values.endpoint);

const tell = (outcome: Outcome) => {
  if (values.json) return;
  const { client, endpoint, passed, seconds } = outcome;
  console.log(
    `${passed ? 'ok  ' : 'FAIL'} ${seconds.toFixed(1).padStart(6)} s  ${client} at a ${endpoint}: ${outcome.case}`,
  );
  if (!passed) console.log(failureText(outcome));
};
const bed = await openBed();
let outcomes: readonly Outcome[] = [];
try {
  outcomes = await runClients({ bed, clients, endpoints: at, quick: values.quick, part: values.case, tell });
} finally {
  await bed[Symbol.asyncDispose]();
}
if (values.json) console.log(JSON.stringify(outcomes, null, 1));
else console.log(`\n${tableOf(outcomes, clients)}`);
process.exitCode = outcomes.length > 0 && outcomes.every(({ passed }) => passed) ? 0 : 1;
