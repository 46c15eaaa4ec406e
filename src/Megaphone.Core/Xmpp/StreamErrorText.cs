using System.Security;
using System.Text;

namespace Megaphone.Xmpp;

/// <summary>What a client is written before it is closed for a fault of its stream (RFC 6120, section 4.9).</summary>
internal static class StreamErrorText
{
    /// <summary>The condition's name in the RFC, which is also its label in metrics.</summary>
    public static string NameOf(StreamCondition condition) => condition switch
    {
        StreamCondition.BadFormat => "bad-format",
        StreamCondition.HostUnknown => "host-unknown",
        StreamCondition.NotWellFormed => "not-well-formed",
        StreamCondition.PolicyViolation => "policy-violation",
        StreamCondition.ResourceConstraint => "resource-constraint",
        StreamCondition.RestrictedXml => "restricted-xml",
        StreamCondition.UnsupportedEncoding => "unsupported-encoding",
        _ => throw new ArgumentOutOfRangeException(nameof(condition), condition, "This is no condition."),
    };

    /// <summary>
    /// The stream header that must come before an error if the server has sent none yet (RFC 6120, section 4.9.1.2).
    /// </summary>
    /// <param name="id">The stream's id: unpredictable.</param>
    /// <param name="from">The host that answers; null where it is not known.</param>
    /// <remarks>Both are escaped, whatever they are: nothing becomes an attribute of its own.</remarks>
    public static byte[] Header(string id, string? from = null) => Encoding.UTF8.GetBytes(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        + $"{Attribute("id", id)}{(from is null ? "" : Attribute("from", from))} version='1.0'>");

    /// <summary>The error, and the end of the stream.</summary>
    public static byte[] ErrorAndEnd(StreamCondition condition) => Encoding.ASCII.GetBytes(
        $"<stream:error><{NameOf(condition)} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>");

    private static string Attribute(string name, string value) => $" {name}='{SecurityElement.Escape(value)}'";
}
