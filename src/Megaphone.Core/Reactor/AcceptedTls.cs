using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>The TLS of a client whose handshake is done: what becomes of its records, and what was agreed on. Zeros: no TLS.</summary>
/// <remarks>Owned by whoever passes it to the reactors by reference, and theirs from then on. It holds secrets.</remarks>
internal struct AcceptedTls
{
    /// <summary>OpenSSL's object, if that is to open and seal the records.</summary>
    public TlsSession Session;

    /// <summary>Else the connection state: records are opened and sealed here.</summary>
    public TlsConnectionState State;

    /// <summary>What the handshake agreed on; null: no TLS.</summary>
    public TlsFacts? Facts;

    /// <summary>Ends a client that is not served, and closes its socket.</summary>
    public void Refuse(int descriptor)
    {
        if (Session.Handle != 0)
        {
            _ = Session.EndWrite();
            Session.Free();
        }
        else if (Facts is not null)
        {
            TlsEnd.Send(descriptor, ref State);
            State.Release();
        }

        _ = Libc.Close(descriptor);
    }
}
