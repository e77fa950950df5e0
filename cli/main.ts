/** The `jobfleet` command: its words are in `commands.ts`, its exit code and last sentence come from here. */
import { CommanderError } from 'commander';
import { jobfleet } from './commands.ts';
import { CliError, note } from './output.ts';

/** Errors whose message is the whole story; by name, so that `--help` loads none of their modules. */
const sentences = new Set(['BackendError', 'ConfigurationError', 'EmbeddedStoreError', 'JobFoldersError']);

try {
  await jobfleet().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof CliError) {
    note(error.message);
    process.exitCode = error.exitCode;
  } else if (error instanceof Error && sentences.has(error.name)) {
    note(error.message);
    process.exitCode = error.name === 'ConfigurationError' ? 2 : 1;
  } else {
    note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
  }
}
