namespace Megaphone.Operator;

/// <summary>How one listener for clients is.</summary>
/// <param name="Listener">Its address; <c>closed</c> for all that reloads have closed, whose clients are still there.</param>
/// <param name="Framing">What its clients speak.</param>
/// <param name="Tls">How they speak TLS.</param>
/// <param name="Clients">How many there are.</param>
internal sealed record ListenerReport(string Listener, string Framing, string Tls, long Clients);
