using Megaphone.Configuration;

namespace Megaphone.Preflight;

/// <summary>Everything that <c>megaphone check</c> checks once the configuration is valid.</summary>
internal static class FullCheck
{
    /// <summary>Looks at the machine, asks the servers, and judges what it has found.</summary>
    public static async Task<IReadOnlyList<Finding>> RunAsync(Settings settings)
    {
        Task<IReadOnlyList<TargetAnswer>> asked = TargetProbe.AskAllAsync(settings);
        MachineFacts machine = MachineFactsReader.Read(settings);
        return Judge(settings, machine, await asked);
    }

    /// <summary>Judges what was found.</summary>
    public static IReadOnlyList<Finding> Judge(Settings settings, MachineFacts machine, IReadOnlyList<TargetAnswer> answers) =>
    [
        .. ListenerCheck.Run(settings, machine),
        .. TargetCheck.Run(settings, answers, machine.Now),
        .. TlsCheck.Run(settings, machine),
        .. MachineCheck.Run(settings, machine),
    ];
}
