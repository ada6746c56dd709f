"""The classes of the Microsoft 365 Agents SDK that agents keep in state: exact names, no imports.

Dialog stacks with what prompts keep there, and activities with their parts. Adapters, dialogs,
clients and exceptions are not data and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["AGENTS_SDK_TYPES"]

_TABLE: Final[dict[str, str]] = {
    "microsoft_agents.activity": """
        action_types.ActionTypes activity.Activity activity_event_names.ActivityEventNames
        activity_importance.ActivityImportance activity_types.ActivityTypes
        adaptive_card_card.AdaptiveCardCard adaptive_card_invoke_action.AdaptiveCardInvokeAction
        adaptive_card_invoke_response.AdaptiveCardInvokeResponse
        adaptive_card_invoke_value.AdaptiveCardInvokeValue
        adaptive_card_search_invoke_value.AdaptiveCardSearchInvokeValue agents_model.AgentsModel
        animation_card.AnimationCard attachment.Attachment attachment_data.AttachmentData
        attachment_info.AttachmentInfo attachment_layout_types.AttachmentLayoutTypes
        attachment_view.AttachmentView audio_card.AudioCard caller_id_constants.CallerIdConstants
        card.Card card_action.CardAction card_image.CardImage channel_account.ChannelAccount
        channel_id.ChannelId channels.Channels
        contact_relation_update_action_types.ContactRelationUpdateActionTypes
        conversation_account.ConversationAccount conversation_members.ConversationMembers
        conversation_parameters.ConversationParameters conversation_reference.ConversationReference
        conversation_resource_response.ConversationResourceResponse
        conversation_update_types.ConversationUpdateTypes conversations_result.ConversationsResult
        delivery_modes.DeliveryModes end_of_conversation_codes.EndOfConversationCodes
        entity.activity_treatment.ActivityTreatment entity.activity_treatment.ActivityTreatmentTypes
        entity.ai_entity.AIEntity entity.ai_entity.ClientCitation
        entity.ai_entity.ClientCitationAppearance entity.ai_entity.ClientCitationIconName
        entity.ai_entity.ClientCitationImage entity.ai_entity.SensitivityPattern
        entity.ai_entity.SensitivityUsageInfo entity.entity.Entity entity.entity_types.EntityTypes
        entity.geo_coordinates.GeoCoordinates entity.mention.Mention entity.place.Place
        entity.product_info.ProductInfo entity.stream_info.StreamInfo entity.thing.Thing error.Error
        error_response.ErrorResponse expected_replies.ExpectedReplies fact.Fact hero_card.HeroCard
        inner_http_error.InnerHttpError input_hints.InputHints
        installation_update_action_types.InstallationUpdateActionTypes
        invoke_response.InvokeResponse media_event_value.MediaEventValue media_url.MediaUrl
        message_reaction.MessageReaction message_reaction_types.MessageReactionTypes
        message_update_types.MessageUpdateTypes oauth_card.OAuthCard
        paged_members_result.PagedMembersResult receipt_card.ReceiptCard receipt_item.ReceiptItem
        resource_response.ResourceResponse role_types.RoleTypes
        search_invoke_options.SearchInvokeOptions search_invoke_value.SearchInvokeValue
        semantic_action.SemanticAction semantic_actions_states.SemanticActionsStates
        sign_in_constants.SignInConstants sign_in_resource.SignInResource signin_card.SigninCard
        suggested_actions.SuggestedActions text_format_types.TextFormatTypes
        text_highlight.TextHighlight thumbnail_card.ThumbnailCard thumbnail_url.ThumbnailUrl
        token_exchange_invoke_request.TokenExchangeInvokeRequest
        token_exchange_invoke_response.TokenExchangeInvokeResponse
        token_exchange_request.TokenExchangeRequest token_exchange_resource.TokenExchangeResource
        token_exchange_state.TokenExchangeState
        token_or_sign_in_resource_response.TokenOrSignInResourceResponse
        token_post_resource.TokenPostResource token_request.TokenRequest
        token_response.TokenResponse token_status.TokenStatus transcript.Transcript
        video_card.VideoCard
    """,
    "microsoft_agents.hosting.dialogs": """
        choices.models.choice.Choice choices.models.choice_factory_options.ChoiceFactoryOptions
        choices.models.find_choices_options.FindChoicesOptions
        choices.models.find_values_options.FindValuesOptions choices.models.found_choice.FoundChoice
        choices.models.found_value.FoundValue choices.models.list_style.ListStyle
        choices.models.model_result.ModelResult choices.models.sorted_value.SortedValue
        choices.models.token.Token dialog_state.DialogState models.dialog_event.DialogEvent
        models.dialog_instance.DialogInstance models.dialog_reason.DialogReason
        models.dialog_turn_result.DialogTurnResult models.dialog_turn_status.DialogTurnStatus
        persisted_state.PersistedState prompts.datetime_resolution.DateTimeResolution
        prompts.oauth_prompt.CallerInfo prompts.prompt_culture_models.PromptCultureModel
        prompts.prompt_options.PromptOptions prompts.prompt_recognizer_result.PromptRecognizerResult
    """,
    "microsoft_agents.activity.teams": """
        app_based_link_query.AppBasedLinkQuery
        batch_failed_entries_response.BatchFailedEntriesResponse batch_failed_entry.BatchFailedEntry
        batch_operation_response.BatchOperationResponse
        batch_operation_state_response.BatchOperationStateResponse bot_config_auth.BotConfigAuth
        cache_info.CacheInfo cancel_operation_response.CancelOperationResponse
        channel_info.ChannelInfo config_auth_response.ConfigAuthResponse
        config_response.ConfigResponse config_response_base.ConfigResponseBase
        config_task_response.ConfigTaskResponse conversation_list.ConversationList
        file_consent_card.FileConsentCard file_consent_card_response.FileConsentCardResponse
        file_download_info.FileDownloadInfo file_info_card.FileInfoCard
        file_upload_info.FileUploadInfo meeting_details.MeetingDetails
        meeting_details_base.MeetingDetailsBase meeting_end_event_details.MeetingEndEventDetails
        meeting_event_details.MeetingEventDetails meeting_info.MeetingInfo
        meeting_notification.MeetingNotification meeting_notification_base.MeetingNotificationBase
        meeting_notification_channel_data.MeetingNotificationChannelData
        meeting_notification_recipient_failure_info.MeetingNotificationRecipientFailureInfo
        meeting_notification_response.MeetingNotificationResponse
        meeting_participant_info.MeetingParticipantInfo
        meeting_participants_event_details.MeetingParticipantsEventDetails
        meeting_stage_surface.ContentType meeting_stage_surface.MeetingStageSurface
        meeting_start_event_details.MeetingStartEventDetails
        meeting_tab_icon_surface.MeetingTabIconSurface message_actions_payload.MessageActionsPayload
        message_actions_payload_app.MessageActionsPayloadApp
        message_actions_payload_attachment.MessageActionsPayloadAttachment
        message_actions_payload_body.MessageActionsPayloadBody
        message_actions_payload_conversation.MessageActionsPayloadConversation
        message_actions_payload_from.MessageActionsPayloadFrom
        message_actions_payload_mention.MessageActionsPayloadMention
        message_actions_payload_reaction.MessageActionsPayloadReaction
        message_actions_payload_user.MessageActionsPayloadUser
        messaging_extension_action.MessagingExtensionAction
        messaging_extension_action_response.MessagingExtensionActionResponse
        messaging_extension_attachment.MessagingExtensionAttachment
        messaging_extension_parameter.MessagingExtensionParameter
        messaging_extension_query.MessagingExtensionQuery
        messaging_extension_query_options.MessagingExtensionQueryOptions
        messaging_extension_response.MessagingExtensionResponse
        messaging_extension_result.MessagingExtensionResult
        messaging_extension_suggested_action.MessagingExtensionSuggestedAction
        notification_info.NotificationInfo o365_connector_card.O365ConnectorCard
        o365_connector_card_action_base.O365ConnectorCardActionBase
        o365_connector_card_action_card.O365ConnectorCardActionCard
        o365_connector_card_action_query.O365ConnectorCardActionQuery
        o365_connector_card_date_input.O365ConnectorCardDateInput
        o365_connector_card_fact.O365ConnectorCardFact
        o365_connector_card_http_post.O365ConnectorCardHttpPOST
        o365_connector_card_image.O365ConnectorCardImage
        o365_connector_card_input_base.O365ConnectorCardInputBase
        o365_connector_card_multichoice_input.O365ConnectorCardMultichoiceInput
        o365_connector_card_multichoice_input_choice.O365ConnectorCardMultichoiceInputChoice
        o365_connector_card_open_uri.O365ConnectorCardOpenUri
        o365_connector_card_open_uri_target.O365ConnectorCardOpenUriTarget
        o365_connector_card_section.O365ConnectorCardSection
        o365_connector_card_text_input.O365ConnectorCardTextInput
        o365_connector_card_view_action.O365ConnectorCardViewAction on_behalf_of.OnBehalfOf
        read_receipt_info.ReadReceiptInfo
        signin_state_verification_query.SigninStateVerificationQuery surface.Surface
        surface.SurfaceType tab_context.TabContext tab_entity_context.TabEntityContext
        tab_request.TabRequest tab_response.TabResponse tab_response_card.TabResponseCard
        tab_response_cards.TabResponseCards tab_response_payload.TabResponsePayload
        tab_submit.TabSubmit tab_submit_data.TabSubmitData tab_suggested_actions.TabSuggestedActions
        targeted_meeting_notification.TargetedMeetingNotification
        targeted_meeting_notification_value.TargetedMeetingNotificationValue
        task_module_card_response.TaskModuleCardResponse
        task_module_continue_response.TaskModuleContinueResponse
        task_module_message_response.TaskModuleMessageResponse task_module_request.TaskModuleRequest
        task_module_request_context.TaskModuleRequestContext task_module_response.TaskModuleResponse
        task_module_response_base.TaskModuleResponseBase task_module_task_info.TaskModuleTaskInfo
        team_details.TeamDetails team_info.TeamInfo
        teams_batch_operation_response.TeamsBatchOperationResponse
        teams_channel_account.TeamsChannelAccount teams_channel_data.TeamsChannelData
        teams_channel_data_settings.TeamsChannelDataSettings teams_meeting_info.TeamsMeetingInfo
        teams_meeting_member.TeamsMeetingMember teams_meeting_participant.TeamsMeetingParticipant
        teams_member.TeamsMember teams_paged_members_result.TeamsPagedMembersResult
        tenant_info.TenantInfo user_meeting_details.UserMeetingDetails
    """,
}


def _by_module() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for package, names in _TABLE.items():
        for name in names.split():
            module, _, cls = name.rpartition(".")
            found.setdefault(f"{package}.{module}", set()).add(cls)
    return {module: frozenset(classes) for module, classes in found.items()}


AGENTS_SDK_TYPES: Final[Mapping[str, frozenset[str]]] = _by_module()
"""Names of classes by the module that defines them."""
