using System.Runtime.InteropServices;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What a connection has beside its slot whose records are opened and sealed here: 184 bytes.</summary>
/// <remarks>The reader's side of the state and the input are the reactor's alone; the gate guards the writer's side.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct SecuredState
{
    /// <summary>Its TLS.</summary>
    public TlsConnectionState Tls;

    /// <summary>What has been received, and neither delivered nor opened.</summary>
    public KeptInput Kept;
}
