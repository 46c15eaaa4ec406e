namespace Megaphone.Attacks;

/// <summary>What clients connect to, attackers included.</summary>
internal enum Front
{
    /// <summary>Megaphone's ECM.</summary>
    Ecm,

    /// <summary>HAProxy, which ends TLS, in front of ejabberd, which it tells the clients' addresses (<c>send-proxy-v2</c>).</summary>
    HaProxy,

    /// <summary>ejabberd itself.</summary>
    Ejabberd,
}
