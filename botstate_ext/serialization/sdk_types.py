"""The classes of the Bot Framework SDK that bots keep in state, by module: exact names, no imports.

The list has the classes that the SDK itself writes into state or storage (dialog stacks, options
and results of prompts, tokens, references of skills, inspection sessions), and the plain data that
its samples write (activities and their parts). Adapters, dialogs, clients and exceptions are not
data and are left out. ``botbuilder.ai`` is listed for bots that have it installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["SDK_TYPES"]

_DIALOGS: Final = "botbuilder.dialogs"
_QNA: Final = "botbuilder.ai.qna"

_TABLE: Final[dict[str, str]] = {
    "botbuilder.core.storage": "StoreItem",
    "botbuilder.core.intent_score": "IntentScore",
    "botbuilder.core.recognizer_result": "RecognizerResult TopIntent",
    "botbuilder.core.transcript_logger": "PagedResult TranscriptInfo",
    "botbuilder.core.inspection.inspection_sessions_by_status": "InspectionSessionsByStatus",
    "botbuilder.core.skills.bot_framework_skill": "BotFrameworkSkill",
    "botbuilder.core.skills.skill_conversation_reference": "SkillConversationReference",
    "botbuilder.core.teams.teams_sso_token_exchange_middleware": "_TokenStoreItem",
    f"{_DIALOGS}.dialog_event": "DialogEvent",
    f"{_DIALOGS}.dialog_events": "DialogEvents",
    f"{_DIALOGS}.dialog_instance": "DialogInstance",
    f"{_DIALOGS}.dialog_reason": "DialogReason",
    f"{_DIALOGS}.dialog_state": "DialogState",
    f"{_DIALOGS}.dialog_turn_result": "DialogTurnResult",
    f"{_DIALOGS}.dialog_turn_status": "DialogTurnStatus",
    f"{_DIALOGS}.persisted_state": "PersistedState",
    f"{_DIALOGS}.choices.choice": "Choice",
    f"{_DIALOGS}.choices.choice_factory_options": "ChoiceFactoryOptions",
    f"{_DIALOGS}.choices.find_choices_options": "FindChoicesOptions",
    f"{_DIALOGS}.choices.find_values_options": "FindValuesOptions",
    f"{_DIALOGS}.choices.found_choice": "FoundChoice",
    f"{_DIALOGS}.choices.found_value": "FoundValue",
    f"{_DIALOGS}.choices.list_style": "ListStyle",
    f"{_DIALOGS}.choices.model_result": "ModelResult",
    f"{_DIALOGS}.choices.sorted_value": "SortedValue",
    f"{_DIALOGS}.choices.token": "Token",
    f"{_DIALOGS}.prompts.datetime_resolution": "DateTimeResolution",
    f"{_DIALOGS}.prompts.oauth_prompt": "CallerInfo",
    f"{_DIALOGS}.prompts.prompt_culture_models": "PromptCultureModel",
    f"{_DIALOGS}.prompts.prompt_options": "PromptOptions",
    f"{_DIALOGS}.prompts.prompt_recognizer_result": "PromptRecognizerResult",
    f"{_DIALOGS}.skills.begin_skill_dialog_options": "BeginSkillDialogOptions",
    f"{_QNA}.dialogs.qnamaker_dialog_options": "QnAMakerDialogOptions",
    f"{_QNA}.models.join_operator": "JoinOperator",
    f"{_QNA}.models.metadata": "Metadata",
    f"{_QNA}.models.prompt": "Prompt",
    f"{_QNA}.models.qna_request_context": "QnARequestContext",
    f"{_QNA}.models.qna_response_context": "QnAResponseContext",
    f"{_QNA}.models.query_result": "QueryResult",
    f"{_QNA}.models.query_results": "QueryResults",
    f"{_QNA}.qna_dialog_response_options": "QnADialogResponseOptions",
    f"{_QNA}.qnamaker_options": "QnAMakerOptions",
    "botframework.connector.channels": "Channels",
    "botframework.connector.token_api.models._models_py3": """
        SignInUrlResponse TokenExchangeRequest TokenExchangeResource TokenPostResource TokenResponse
        TokenStatus
    """,
    "botbuilder.schema._connector_client_enums": """
        ActionTypes ActivityImportance ActivityTypes AttachmentLayoutTypes
        ContactRelationUpdateActionTypes DeliveryModes EndOfConversationCodes InputHints
        InstallationUpdateActionTypes MessageReactionTypes RoleTypes SemanticActionStates
        TextFormatTypes
    """,
    "botbuilder.schema._sign_in_enums": "SignInConstants",
    "botbuilder.schema._models_py3": """
        Activity ActivityEventNames AdaptiveCardInvokeAction AdaptiveCardInvokeResponse
        AdaptiveCardInvokeValue AnimationCard Attachment AttachmentData AttachmentInfo
        AttachmentView AudioCard BasicCard CardAction CardImage ChannelAccount ConversationAccount
        ConversationMembers ConversationParameters ConversationReference
        ConversationResourceResponse ConversationsResult Entity Error ErrorResponse ExpectedReplies
        Fact GeoCoordinates HeroCard InnerHttpError InvokeResponse MediaCard MediaEventValue
        MediaUrl Mention MessageReaction OAuthCard PagedMembersResult Place ReceiptCard ReceiptItem
        ResourceResponse SemanticAction SigninCard SuggestedActions TextHighlight Thing
        ThumbnailCard ThumbnailUrl TokenExchangeInvokeRequest TokenExchangeInvokeResponse
        TokenExchangeState TokenRequest TokenResponse Transcript VideoCard
    """,
    "botbuilder.schema.teams.additional_properties": "ContentType Type",
    "botbuilder.schema.teams._models_py3": """
        AppBasedLinkQuery BotConfigAuth CacheInfo ChannelInfo ConfigAuthResponse ConfigResponse
        ConfigResponseBase ConfigTaskResponse ContentType ConversationList FileConsentCard
        FileConsentCardResponse FileDownloadInfo FileInfoCard FileUploadInfo MeetingDetails
        MeetingDetailsBase MeetingEndEventDetails MeetingEventDetails MeetingInfo
        MeetingNotification MeetingNotificationBase MeetingNotificationChannelData
        MeetingNotificationRecipientFailureInfo MeetingNotificationResponse MeetingParticipantInfo
        MeetingParticipantsEventDetails MeetingStageSurface MeetingStartEventDetails
        MeetingTabIconSurface MessageActionsPayload MessageActionsPayloadApp
        MessageActionsPayloadAttachment MessageActionsPayloadBody MessageActionsPayloadConversation
        MessageActionsPayloadFrom MessageActionsPayloadMention MessageActionsPayloadReaction
        MessageActionsPayloadUser MessagingExtensionAction MessagingExtensionActionResponse
        MessagingExtensionAttachment MessagingExtensionParameter MessagingExtensionQuery
        MessagingExtensionQueryOptions MessagingExtensionResponse MessagingExtensionResult
        MessagingExtensionSuggestedAction NotificationInfo O365ConnectorCard
        O365ConnectorCardActionBase O365ConnectorCardActionCard O365ConnectorCardActionQuery
        O365ConnectorCardDateInput O365ConnectorCardFact O365ConnectorCardHttpPOST
        O365ConnectorCardImage O365ConnectorCardInputBase O365ConnectorCardMultichoiceInput
        O365ConnectorCardMultichoiceInputChoice O365ConnectorCardOpenUri
        O365ConnectorCardOpenUriTarget O365ConnectorCardSection O365ConnectorCardTextInput
        O365ConnectorCardViewAction OnBehalfOf ReadReceiptInfo SigninStateVerificationQuery Surface
        SurfaceType TabContext TabEntityContext TabRequest TabResponse TabResponseCard
        TabResponseCards TabResponsePayload TabSubmit TabSubmitData TabSuggestedActions TabSumit
        TargetedMeetingNotification TargetedMeetingNotificationValue TaskModuleCardResponse
        TaskModuleContinueResponse TaskModuleMessageResponse TaskModuleRequest
        TaskModuleRequestContext TaskModuleResponse TaskModuleResponseBase TaskModuleTaskInfo
        TeamDetails TeamInfo TeamsChannelAccount TeamsChannelData TeamsChannelDataSettings
        TeamsMeetingInfo TeamsMeetingMember TeamsMeetingParticipant TeamsPagedMembersResult
        TenantInfo UserMeetingDetails
    """,
}

SDK_TYPES: Final[Mapping[str, frozenset[str]]] = {
    module: frozenset(names.split()) for module, names in _TABLE.items()
}
