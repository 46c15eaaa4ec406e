namespace Megaphone.EndToEnd.Support;

/// <summary>An ejabberd with the module, for the tests of a class.</summary>
public sealed class ModuleServer : IAsyncLifetime
{
    /// <summary>The server.</summary>
    internal Ejabberd Ejabberd { get; private set; } = null!;

    /// <inheritdoc/>
    public async Task InitializeAsync() => Ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 1");

    /// <inheritdoc/>
    public async Task DisposeAsync() => await Ejabberd.DisposeAsync();
}
