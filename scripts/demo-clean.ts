/** `npm run demo:clean`: removes the demo machine. The daemon stays as it was. */
import { demoName, findDemo, home, hypo, runningDaemon, signIn } from './demo.ts';

const daemon = await runningDaemon();
if (daemon === undefined) {
  console.error('Nothing runs, so nothing can be removed. Start it: npx hypo up --detach');
  process.exitCode = 1;
} else {
  const client = await signIn(daemon);
  const demo = await findDemo(client);
  await client[Symbol.asyncDispose]();
  if (demo === undefined) console.log(`There is no ${demoName}.`);
  else await hypo('rm', demoName, '--force', '--home', home.directory);
}
