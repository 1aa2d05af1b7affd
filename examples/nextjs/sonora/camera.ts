/** The user's camera. It is on only while they want it, and sends nothing by itself. */

/** The longer side of a frame, in pixels. The bot makes a larger one smaller. */
const LONGEST = 1280;

export class Camera {
  #stream: MediaStream | null = null;
  #video: HTMLVideoElement | null = null;
  #times = 0;

  /** What it sees, for the page to show; null while it is off. */
  get stream(): MediaStream | null {
    return this.#stream;
  }

  /**
   * Switch it on. Throws where there is none, or the user does not allow it. `onLost` is called when
   * it is unplugged. Gives whether it is on: it may be off again by the time the user has answered.
   */
  async open(onLost: () => void): Promise<boolean> {
    this.close();
    const time = this.#times;
    // Of a phone's cameras, the one that looks where the user looks.
    const wanted = { video: { facingMode: "environment", width: { ideal: LONGEST } } };
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    if (time !== this.#times) {
      stop(stream);
      return false;
    }
    this.#stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", onLost);
    const video = (this.#video = document.createElement("video"));
    video.muted = true;
    video.playsInline = true;
    video.srcObject = stream;
    await video.play().catch((thrown: unknown) => {
      if (time === this.#times) throw thrown;
    });
    return time === this.#times;
  }

  /** Switch it off. */
  close(): void {
    this.#times += 1;
    if (this.#stream) stop(this.#stream);
    this.#stream = this.#video = null;
  }

  /** The newest frame, as JPEG; null while it is off. */
  async frame(): Promise<Blob | null> {
    const video = this.#video;
    if (!video?.videoWidth) return null;
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  }
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
