// Command: makes sure that helm and kubeconform are on this machine. Their absence fails nothing: the chart's tests then
// say that they are skipped.
import { progressOn } from "../terminal/progress.ts";
import { findChartTools, HELM_VERSION, KUBECONFORM_VERSION, provideChartTools } from "./chart-tools.ts";

const wanted = `helm ${HELM_VERSION} and kubeconform ${KUBECONFORM_VERSION}`;
if (!findChartTools()) {
  const progress = progressOn(process.stderr);
  progress.show(`building ${wanted} from the Go modules (once; about five minutes on two cores)`);
  try {
    await provideChartTools();
  } catch (error) {
    const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    progress.say(`THE CHART'S TESTS WILL BE SKIPPED: ${wanted} could not be built: ${line}`);
  } finally {
    progress.end();
  }
}
