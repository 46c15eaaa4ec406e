namespace Megaphone.Ecm;

/// <summary>Whether, and how, a session's first packet carries the client's address (section 3 of the link protocol).</summary>
internal enum ProxyMode
{
    /// <summary>It does not.</summary>
    None,

    /// <summary>A PROXY protocol header in text.</summary>
    V1,

    /// <summary>A PROXY protocol header in binary.</summary>
    V2,
}
