import type { CommandDefinition } from '../../command-context.ts';
import { defineGuestFiles } from './guest-files.ts';
import { defineGuestFolders } from './guest-folders.ts';
import { defineGuestInfo } from './guest-info.ts';
import { defineGuestProcesses } from './guest-processes.ts';
import { defineGuestTools } from './guest-tools.ts';

/** `hypo guest`: programs and files inside machines. */
export const defineGuest: CommandDefinition = (program, context) => {
  const guest = program
    .command('guest')
    .description('run programs, look at processes, and move files inside machines, by their guest agents')
    .addHelpText(
      'after',
      `
Who acts in the guest is one of its own users: --login USER, and a password that is asked for, comes from
--login-file FILE, or from HYPOSTYLE_GUEST_LOGIN=USER:PASSWORD.

Examples:
  hypo guest run --login root web -- uname -a
  hypo guest ps --login ann web
  hypo guest upload --login ann web site.tar /home/ann/site.tar
  hypo guest df web
  hypo guest tools --mount web`,
    );
  defineGuestProcesses(guest, context);
  defineGuestFolders(guest, context);
  defineGuestFiles(guest, context);
  defineGuestInfo(guest, context);
  defineGuestTools(guest, context);
};
