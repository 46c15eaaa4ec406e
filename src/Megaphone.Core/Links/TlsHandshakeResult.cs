namespace Megaphone.Links;

/// <summary>What came of a link's TLS handshake.</summary>
/// <param name="Secured">What is spoken through from now on, if the handshake succeeded.</param>
/// <param name="Refusal">Why the link is not accepted all the same, at the end that takes it: the other end is to be told when
/// it says hello, and nothing else is to be taken from it. Without <paramref name="Secured"/> it speaks no TLS.</param>
/// <param name="Failure">Why it failed, in words.</param>
/// <param name="Abandoned">With a failure: the other end had not said anything.</param>
internal readonly record struct TlsHandshakeResult(
    SecuredSocket? Secured = null, string? Refusal = null, string? Failure = null, bool Abandoned = false);
