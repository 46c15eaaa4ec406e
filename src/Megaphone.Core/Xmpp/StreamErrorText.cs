using System.Security;
using System.Security.Cryptography;
using System.Text;

namespace Megaphone.Xmpp;

/// <summary>The XML that is sent to a client before its stream is closed with an error (RFC 6120, section 4.9).</summary>
internal static class StreamErrorText
{
    /// <summary>What a client is sent whose stream this end gives up, and the closing tag of the stream.</summary>
    /// <param name="otherHost">Where it is to go, HOST or HOST:PORT: the error <c>see-other-host</c> (RFC 6120, section 4.9.3.19). Null: the error is
    /// <c>system-shutdown</c> (section 4.9.3.20).</param>
    public static byte[] FarewellAndEnd(string? otherHost) => Encoding.UTF8.GetBytes(
        otherHost is null
            ? "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
            : "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
            + $"{SecurityElement.Escape(otherHost)}</see-other-host></stream:error></stream:stream>");

    /// <summary>The condition's name in the RFC, which is also its label in metrics.</summary>
    public static string NameOf(StreamCondition condition) => condition switch
    {
        StreamCondition.BadFormat => "bad-format",
        StreamCondition.ConnectionTimeout => "connection-timeout",
        StreamCondition.HostUnknown => "host-unknown",
        StreamCondition.NotWellFormed => "not-well-formed",
        StreamCondition.PolicyViolation => "policy-violation",
        StreamCondition.ResourceConstraint => "resource-constraint",
        StreamCondition.RestrictedXml => "restricted-xml",
        StreamCondition.UnsupportedEncoding => "unsupported-encoding",
        _ => throw new ArgumentOutOfRangeException(nameof(condition), condition, "Not a condition."),
    };

    /// <summary>
    /// The stream header that must come before an error if the server has sent none yet (RFC 6120, section 4.9.1.2).
    /// </summary>
    /// <param name="id">The stream's id: unpredictable.</param>
    /// <param name="from">The host that answers; null if it is not known.</param>
    /// <remarks>Both are escaped, so that neither can become another attribute.</remarks>
    public static byte[] Header(string id, string? from = null) => Encoding.UTF8.GetBytes(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        + $"{Attribute("id", id)}{(from is null ? "" : Attribute("from", from))} version='1.0'>");

    /// <summary>The same with an id that is made for it.</summary>
    public static byte[] NewHeader(string? from = null) => Header(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)), from);

    /// <summary>The error, and the closing tag of the stream.</summary>
    public static byte[] ErrorAndEnd(StreamCondition condition) => Encoding.ASCII.GetBytes(
        $"<stream:error><{NameOf(condition)} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>");

    private static string Attribute(string name, string value) => $" {name}='{SecurityElement.Escape(value)}'";
}
