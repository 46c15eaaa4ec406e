namespace Megaphone.Metrics;

/// <summary>How one listener for clients is now.</summary>
/// <param name="Name">Its address, with the real port: the <c>listener</c> label.</param>
/// <param name="Framing">What its clients speak, as it is configured.</param>
/// <param name="Tls">How they speak TLS, as it is configured.</param>
/// <param name="Clients">Those of its clients who are connected.</param>
internal readonly record struct ListenerStatus(string Name, string Framing, string Tls, long Clients);
