/** Does nothing: what a process costs by itself. */
import { serve } from '../ipc.ts';

serve(() => ({}));
