/** How loud a sound is now. */
export interface Level {
  /** From 0 for silence to 1. */
  read(): number;
}

const FLOOR_DB = -60;

/** The loudness of what `node` plays. */
export function levelOf(node: AudioNode): Level {
  const analyser = new AnalyserNode(node.context, { fftSize: 1024 });
  node.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    read() {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const db = 10 * Math.log10(power + 1e-12);
      return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
    },
  };
}
